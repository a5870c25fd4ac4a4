// Package convert reads the alarms that people already have and writes them as
// native rule files, or says why not: CloudWatch metric filters and alarms (as the
// AWS CLI prints them, from Terraform and from CloudFormation), tables of Lucene
// alerts, and EventBridge rules. It only reads files; it calls nobody.
//
// What cannot be known from the input is reported, never guessed.
package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
)

// MaxInput bounds one input file, in bytes.
const MaxInput = 16 << 20

// Options of Files and Convert. The zero value is the default.
type Options struct {
	// Languages check what is written: a rule that they do not load is refused.
	// cloudwatch is always checked; rules of a language that is not here (and of
	// any but cloudwatch, by default) are written unchecked.
	Languages map[string]native.Language
}

// Input is a file's contents. Name is for messages, and its ending for Detect.
type Input struct {
	Name string
	Data []byte
}

// Result is what a conversion came to.
type Result struct {
	Rules   []Converted
	Refused []Reason
	Notes   []string // about the conversion as a whole
	Sigma   []string // Sigma files: they are read natively and need no conversion
}

// Converted is one rule.
type Converted struct {
	ID       string
	YAML     string // an item of the list rules, indented by two
	Warnings []string
	Source   matcher.Pos // what it was made from
}

// Reason says why something was not converted.
type Reason struct {
	Source matcher.Pos
	What   string // alarm CloudTrailChanges
	Why    string
}

// String returns "file:line: what: why".
func (r Reason) String() string { return fmt.Sprintf("%s: %s: %s", r.Source, r.What, r.Why) }

// YAML returns the rules as the text of one rule file, empty if there are none.
func (r *Result) YAML() string {
	if len(r.Rules) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("rules:\n")
	for _, c := range r.Rules {
		b.WriteString(c.YAML)
	}
	return b.String()
}

// Files converts files and directories together: metric filters and alarms meet
// wherever they stand. Of a directory it takes the files that it knows, at any
// depth. An error means that a file could not be read or is of no known kind.
func Files(paths []string, o Options) (*Result, error) {
	var inputs []Input
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("converting rules: %w", err)
		}
		if !info.IsDir() {
			in, err := readInput(path)
			if err != nil {
				return nil, fmt.Errorf("converting rules: %w", err)
			}
			inputs = append(inputs, in)
			continue
		}
		err = filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != path && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), "."):
				return nil
			}
			switch filepath.Ext(name) {
			case ".tf", ".json", ".yaml", ".yml", ".template", ".csv", ".md":
				in, err := readInput(name)
				if err == nil && DetectData(in) != Unknown {
					inputs = append(inputs, in)
				}
				return err
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("converting rules: %w", err)
		}
	}
	return Convert(inputs, o)
}

func readInput(path string) (Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Input{}, err
	}
	if info.Size() > MaxInput {
		return Input{}, fmt.Errorf("%s is larger than %d MiB", path, MaxInput>>20)
	}
	data, err := os.ReadFile(path)
	return Input{path, data}, err
}

// Convert converts inputs together. An error means that an input is of no known
// kind or is broken as a whole.
func Convert(inputs []Input, o Options) (*Result, error) {
	c := &converter{options: o, result: &Result{}, ids: map[string]bool{}}
	var terraform []Input
	for _, in := range inputs {
		if len(in.Data) > MaxInput {
			return nil, fmt.Errorf("converting rules: %s is larger than %d MiB", in.Name, MaxInput>>20)
		}
		var err error
		switch DetectData(in) {
		case AWS:
			err = c.awsCLI(in)
		case Terraform:
			terraform = append(terraform, in)
		case CloudFormation:
			err = c.cloudFormation(in)
		case Table:
			c.table(in)
		case EventBridge:
			err = c.eventBridge(in)
		case Sigma:
			c.result.Sigma = append(c.result.Sigma, in.Name)
		case Native:
			c.note("%s is a rule file already", in.Name)
		default:
			err = fmt.Errorf("of no kind that can be converted")
		}
		if err != nil {
			return nil, fmt.Errorf("converting rules: %s: %w", in.Name, err)
		}
	}
	if len(terraform) > 0 {
		if err := c.terraform(terraform); err != nil {
			return nil, fmt.Errorf("converting rules: %w", err)
		}
	}
	c.join()
	if len(c.result.Sigma) > 0 {
		c.note("Sigma rules are read as they are: put the files beside the rules")
	}
	if len(c.result.Rules) > 0 {
		c.note("the sources state no severity: the rules have severity medium")
	}
	return c.result, nil
}

type converter struct {
	options Options
	result  *Result
	ids     map[string]bool
	filters []*metricFilter
	alarms  []*metricAlarm
	failed  []*metricAlarm // refused
}

func (c *converter) note(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(c.result.Notes, s) {
		c.result.Notes = append(c.result.Notes, s)
	}
}

func (c *converter) refuse(at matcher.Pos, what, format string, args ...any) {
	c.result.Refused = append(c.result.Refused, Reason{at, what, fmt.Sprintf(format, args...)})
}
