package enrich

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Account is what is known of an AWS account.
type Account struct {
	ID   string // 12 digits
	Name string
	OU   string // organizational unit, as the file writes it; empty: not known
}

// Bounds of a file of text.
const (
	maxTextFile = 64 << 20 // bytes
	maxProblems = 20       // reported of one file
)

func readAccounts(file string) (map[string]Account, error) {
	src, err := readFile(file, maxTextFile)
	if err != nil {
		return nil, err
	}
	r := accountReader{file: file, accounts: map[string]Account{}, lines: map[string]int{}}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimSpace(src); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		r.json(src)
	} else {
		r.csv(src)
	}
	if len(r.errs) == 0 && len(r.accounts) == 0 {
		r.failf(1, "there are no accounts")
	}
	return r.accounts, errors.Join(r.errs...)
}

type accountReader struct {
	file     string
	accounts map[string]Account
	lines    map[string]int // where an account is first
	errs     []error
}

func (r *accountReader) failf(line int, format string, args ...any) {
	if len(r.errs) < maxProblems {
		r.errs = append(r.errs, fmt.Errorf("%s:%d: "+format, append([]any{r.file, line}, args...)...))
	}
}

func (r *accountReader) add(line int, a Account) {
	a.ID, a.Name, a.OU = strings.TrimSpace(a.ID), strings.TrimSpace(a.Name), strings.TrimSpace(a.OU)
	before, known := r.accounts[a.ID]
	switch {
	case len(a.ID) != 12 || strings.Trim(a.ID, "0123456789") != "":
		r.failf(line, "%.60q is no account: expected 12 digits (a spreadsheet may have dropped leading zeros)", a.ID)
	case a.Name == "":
		r.failf(line, "account %s has no name", a.ID)
	case known && before != a:
		r.failf(line, "account %s is called %.60q, and %.60q in line %d", a.ID, a.Name, before.Name, r.lines[a.ID])
	default:
		r.accounts[a.ID] = a
		if !known {
			r.lines[a.ID] = line
		}
	}
}

// The names of columns, in small letters, without spaces, hyphens and underscores.
var (
	idColumns   = []string{"id", "accountid", "account", "awsaccountid", "accountnumber"}
	nameColumns = []string{"name", "accountname", "awsaccountname"}
	ouColumns   = []string{"ou", "organizationalunit", "oupath", "ouname", "path"}
)

func (r *accountReader) csv(src []byte) {
	c := csv.NewReader(bytes.NewReader(src))
	c.Comment = '#'
	c.TrimLeadingSpace = true
	id, name, ou := -1, -1, -1
	for first := true; ; first = false {
		row, err := c.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &syntax):
			r.failf(syntax.Line, "%v", syntax.Err)
			if len(r.errs) >= maxProblems || first {
				return
			}
			continue
		case err != nil:
			r.failf(1, "%v", err)
			return
		}
		line, _ := c.FieldPos(0)
		if first {
			for i, column := range row {
				column = strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(strings.TrimSpace(column)))
				switch {
				case id < 0 && slices.Contains(idColumns, column):
					id = i
				case name < 0 && slices.Contains(nameColumns, column):
					name = i
				case ou < 0 && slices.Contains(ouColumns, column):
					ou = i
				}
			}
			if id < 0 || name < 0 {
				r.failf(line, "expected a header with the columns id and name, and perhaps ou")
				return
			}
			continue
		}
		a := Account{ID: row[id], Name: row[name]}
		if ou >= 0 {
			a.OU = row[ou]
		}
		r.add(line, a)
	}
}

// json reads what "aws organizations list-accounts" prints, or the list in it.
func (r *accountReader) json(src []byte) {
	at := func(offset int64) int {
		return 1 + bytes.Count(src[:min(int64(len(src)), max(offset, 0))], []byte("\n"))
	}
	d := json.NewDecoder(bytes.NewReader(src))
	fail := func(err error) {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		offset := d.InputOffset()
		switch {
		case errors.As(err, &syntax):
			offset = syntax.Offset
		case errors.As(err, &kind):
			offset = max(offset, kind.Offset)
		}
		r.failf(at(offset), "%v", err)
	}
	begin := func() bool { // goes to the list
		t, err := d.Token()
		for ; err == nil; t, err = d.Token() {
			switch t {
			case json.Delim('['):
				return true
			case json.Delim('{'):
				continue
			case "Accounts":
				continue
			case json.Delim('}'):
				r.failf(at(d.InputOffset()), `expected the key "Accounts"`)
				return false
			}
			if _, ok := t.(string); !ok {
				r.failf(at(d.InputOffset()), `expected the list of "Accounts"`)
				return false
			}
			var other json.RawMessage
			if err = d.Decode(&other); err != nil {
				break
			}
		}
		fail(err)
		return false
	}
	if !begin() {
		return
	}
	for d.More() {
		line := at(d.InputOffset())
		var a struct{ ID, Name, OU, Path string }
		if err := d.Decode(&a); err != nil {
			fail(err)
			return
		}
		if a.OU == "" {
			a.OU = a.Path
		}
		r.add(line, Account{a.ID, a.Name, a.OU})
	}
	if _, err := d.Token(); err != nil {
		fail(err)
	}
}
