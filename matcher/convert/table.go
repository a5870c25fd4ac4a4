package convert

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trailtide/trailtide/matcher"
)

// columns says which column of a table holds what; -1: none does.
type columns struct{ name, description, query int }

// columnsOf reads a header row, nil if it is none.
func columnsOf(cells []string) *columns {
	c := &columns{-1, -1, -1}
	for i, cell := range cells {
		cell = strings.ToLower(strings.Trim(cell, " \t*_`\ufeff"))
		switch {
		case c.query < 0 && (cell == "query" || cell == "lucene" || cell == "lucene query" || cell == "alert query"):
			c.query = i
		case c.description < 0 && strings.HasPrefix(cell, "description"):
			c.description = i
		case c.name < 0 && (strings.HasSuffix(cell, "name") || cell == "alert" || cell == "title"):
			c.name = i
		}
	}
	if c.name < 0 || c.query < 0 {
		return nil
	}
	return c
}

// cells splits a row of a table whose borders are bars.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.Contains(line, "|") {
		return nil
	}
	line = strings.TrimPrefix(strings.ReplaceAll(line, `\|`, "\x00"), "|")
	parts := splitSpaced(line)
	if len(parts) == 1 {
		parts = strings.Split(line, "|")
	}
	for i, p := range parts {
		parts[i] = strings.TrimSpace(strings.ReplaceAll(p, "\x00", "|"))
	}
	if len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// splitSpaced splits at the bars with blanks around them, for cells may hold bars
// of their own, as Lucene's regular expressions do.
func splitSpaced(line string) (parts []string) {
	start := 0
	for i := range len(line) {
		if line[i] == '|' && (i == 0 || isBlank(line[i-1])) && (i+1 == len(line) || isBlank(line[i+1])) {
			parts = append(parts, line[start:i])
			start = i + 1
		}
	}
	return append(parts, line[start:])
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// header finds the header row of a table with bars.
func header(data []byte) *columns {
	for line := range bytes.Lines(data) {
		if c := columnsOf(cells(string(line))); c != nil {
			return c
		}
	}
	return nil
}

// ruler is the line between a header and the rows.
var ruler = regexp.MustCompile(`^[\s|:-]*-[\s|:-]*$`)

// table reads a CSV or a table whose borders are bars; what stands around such a
// table is not looked at.
func (c *converter) table(in Input) {
	before := len(c.result.Rules) + len(c.result.Refused)
	if strings.EqualFold(filepath.Ext(in.Name), ".csv") {
		c.csv(in)
	} else {
		var cols *columns
		n := 0
		for line := range bytes.Lines(in.Data) {
			n++
			row := cells(string(line))
			switch {
			case cols == nil:
				cols = columnsOf(row)
			case row == nil:
				cols = nil // the table has ended
			case !ruler.Match(bytes.TrimSpace(line)):
				c.row(row, cols, matcher.Pos{File: in.Name, Line: n})
			}
		}
	}
	if len(c.result.Rules)+len(c.result.Refused) == before {
		c.refuse(at(in), "table", "no rows found: expected columns such as Alert name, Description and Query")
	}
}

func (c *converter) csv(in Input) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(in.Data, []byte("\ufeff"))))
	r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = -1, true, true
	var cols *columns
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.refuse(at(in), "table", "%v", err)
			return
		}
		if cols == nil {
			if cols = columnsOf(row); cols == nil {
				c.refuse(at(in), "table", "the first row names no columns: expected such as Alert name, Description and Query")
				return
			}
			continue
		}
		line, _ := r.FieldPos(0)
		c.row(row, cols, matcher.Pos{File: in.Name, Line: line})
	}
}

// looksLikeQuery says that a text has a field with a colon, as descriptions do not.
var looksLikeQuery = regexp.MustCompile(`(^|[\s(])[\w@][\w.@]*:[\S]`)

func (c *converter) row(row []string, cols *columns, source matcher.Pos) {
	cell := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.Trim(strings.TrimSpace(row[i]), "`")
	}
	name, description, query := cell(cols.name), cell(cols.description), cell(cols.query)
	what := fmt.Sprintf("row %q", name)
	d := draft{name: name, title: plainQuotes(name), description: description, language: "lucene", what: what, source: source}
	switch {
	case name == "" && query == "":
		return
	case query == "" && looksLikeQuery.MatchString(description):
		query, d.description = description, ""
		d.warnings = append(d.warnings, "the column of the query is empty: the query was taken from the column of the description")
	case query == "":
		c.refuse(source, what, "the row has no query")
		return
	}
	if plain := plainQuotes(query); plain != query {
		query = plain
		d.warnings = append(d.warnings, "typographic quotes of the query were replaced by plain ones")
	}
	d.condition = textNode(query)
	d.comments = []string{"from a table of Lucene alerts"}
	c.write(d)
}

// plainQuotes replaces typographic quotes, with the stray backslash that some
// have before them.
func plainQuotes(s string) string {
	return strings.NewReplacer(
		`\“`, `"`, `\”`, `"`, `\„`, `"`, "“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'",
	).Replace(s)
}
