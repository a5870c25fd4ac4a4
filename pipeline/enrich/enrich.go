// Package enrich answers what conditions and sinks ask beyond the event: the
// country of an address, the name of an account, whether a value is on a list.
// The answers come from files that are read once; to read them anew, open
// another Enricher and drop the old one.
package enrich

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// Options name the files. Those that are not set are not there, and rules that
// need them are refused.
type Options struct {
	// CountryDB is a file in MaxMind's format (.mmdb) whose records have
	// country.iso_code, as MaxMind's own, or country_code.
	CountryDB string `yaml:"country_db"`
	// Accounts is a file of account names: CSV with a header (id, name and perhaps
	// ou), or the JSON that "aws organizations list-accounts" prints.
	Accounts string `yaml:"accounts"`
	// AWSIPRanges is Amazon's ip-ranges.json. It makes the list aws_ip_ranges, and
	// of each service one such as aws_ip_ranges/ec2.
	AWSIPRanges string `yaml:"aws_ip_ranges"`
	// Lists are files of values, by the name of the list: one a line, a value, a
	// pattern in which * stands for any run, or a range of addresses; what stands
	// behind a # is a comment.
	Lists map[string]string `yaml:"lists"`
}

// listName is what a list may be called.
var listName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Validate reports every problem at once. It opens no file.
func (o *Options) Validate() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(o.Lists)) {
		switch {
		case !listName.MatchString(name):
			errs = append(errs, fmt.Errorf("lists: %q is no name for a list: letters, digits, dots, hyphens and underscores", name))
		case name == awsList:
			errs = append(errs, fmt.Errorf("lists: %s is Amazon's own, see aws_ip_ranges; take another name", name))
		case o.Lists[name] == "":
			errs = append(errs, fmt.Errorf("lists.%s: name a file", name))
		}
	}
	return errors.Join(errs...)
}

// Empty says that nothing is set.
func (o *Options) Empty() bool {
	return o.CountryDB == "" && o.Accounts == "" && o.AWSIPRanges == "" && len(o.Lists) == 0
}

// Relative makes paths that are not absolute relative to dir.
func (o *Options) Relative(dir string) {
	under := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	o.CountryDB, o.Accounts, o.AWSIPRanges = under(o.CountryDB), under(o.Accounts), under(o.AWSIPRanges)
	lists := make(map[string]string, len(o.Lists))
	for name, p := range o.Lists {
		lists[name] = under(p)
	}
	o.Lists = lists
}

// Files returns the files that are named, in order: those to watch.
func (o *Options) Files() []string {
	files := slices.Collect(maps.Values(o.Lists))
	files = append(files, o.CountryDB, o.Accounts, o.AWSIPRanges)
	slices.Sort(files)
	return slices.DeleteFunc(slices.Compact(files), func(f string) bool { return f == "" })
}

// Enricher holds what the files say. It is immutable and safe for concurrent
// use; no call blocks or keeps its arguments.
type Enricher struct {
	countries *countries         // nil: none
	accounts  map[string]Account // nil: none
	lists     map[string]*list   // those of aws_ip_ranges too, whose names are in small letters
	ranges    *ranges            // nil: none
}

// Open reads the files. All problems are joined, each with its file, and line
// where it has one.
func Open(o Options) (*Enricher, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	e := &Enricher{lists: map[string]*list{}}
	var errs []error
	if o.CountryDB != "" {
		var err error
		e.countries, err = openCountries(o.CountryDB)
		errs = append(errs, err)
	}
	if o.Accounts != "" {
		var err error
		e.accounts, err = readAccounts(o.Accounts)
		errs = append(errs, err)
	}
	if o.AWSIPRanges != "" {
		var err error
		e.ranges, err = readRanges(o.AWSIPRanges, e.lists)
		errs = append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Lists)) {
		l, err := readList(o.Lists[name])
		errs = append(errs, err)
		e.lists[name] = l
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

// HasSource says whether the source is configured.
func (e *Enricher) HasSource(s matcher.EnrichmentSource) bool {
	switch s {
	case matcher.SourceCountry:
		return e.countries != nil
	case matcher.SourceAccounts:
		return e.accounts != nil
	}
	name, ok := strings.CutPrefix(string(s), "list ")
	return ok && e.list(name) != nil
}

// Country returns the ISO 3166 code and the English name of the country of an
// address.
func (e *Enricher) Country(ip string) (code, name string, ok bool) {
	if e.countries == nil {
		return "", "", false
	}
	return e.countries.lookup(ip)
}

// AccountName returns the name of an account.
func (e *Enricher) AccountName(id string) (string, bool) {
	a, ok := e.accounts[id]
	return a.Name, ok
}

// Account returns what is known of an account.
func (e *Enricher) Account(id string) (Account, bool) {
	a, ok := e.accounts[id]
	return a, ok
}

// InList says whether value is on the list of that name; no value is on a list
// that is not there.
func (e *Enricher) InList(name, value string) bool {
	l := e.list(name)
	return l != nil && l.has(value)
}

func (e *Enricher) list(name string) *list {
	if l := e.lists[name]; l != nil || !strings.HasPrefix(name, awsList) {
		return l
	}
	return e.lists[strings.ToLower(name)]
}

// AWSRange returns the service and the region of Amazon's that an address
// belongs to, of the smallest range that holds it; the service AMAZON only
// where no other is known.
func (e *Enricher) AWSRange(ip string) (service, region string, ok bool) {
	if e.ranges == nil {
		return "", "", false
	}
	return e.ranges.lookup(ip)
}
