// Package render shows alerts to people and to their tools: a terminal table,
// CSV, one JSON array, NDJSON, a line and a page each. Whatever comes from an
// event is untrusted: in the forms for people it cannot drive the terminal, in
// CSV it cannot start a formula.
package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/trailtide/trailtide/sinks"
)

// Format names a form.
type Format string

// The forms.
const (
	Table  Format = "table"  // for people; as wide as the terminal
	JSON   Format = "json"   // one array
	NDJSON Format = "ndjson" // one alert a line: the contract for machines
	CSV    Format = "csv"    // the chosen columns with a header, RFC 4180
)

// Formats returns the names of all forms.
func Formats() []string { return []string{string(Table), string(JSON), string(NDJSON), string(CSV)} }

// Options of a Renderer.
type Options struct {
	// Columns of a table and of CSV. Default: DefaultColumns.
	Columns []Column
	// Color paints the severity in a table.
	Color bool
	// Width of the terminal in columns, for a table. 0: unlimited.
	Width int
	// Extend, if set, adds to the end of an alert's JSON object; of the JSON
	// forms. It may change object in place.
	Extend func(a *sinks.Alert, object []byte) []byte
}

// Renderer writes alerts one after the other. One goroutine owns it.
type Renderer interface {
	// Write shows a. A table may hold it back until its column widths are known.
	Write(a *sinks.Alert) error
	// Close writes what was held back and the end of the document. It does not
	// close the writer.
	Close() error
}

// New returns a Renderer to w. Every alert is one call of w.Write or less.
func New(w io.Writer, f Format, o Options) (Renderer, error) {
	if len(o.Columns) == 0 {
		o.Columns = DefaultColumns()
	}
	switch f {
	case Table:
		return &table{w: w, o: o}, nil
	case JSON:
		return &jsonArray{w: w, extend: o.Extend}, nil
	case NDJSON:
		return &ndjson{w: w, extend: o.Extend}, nil
	case CSV:
		return newCSV(w, o.Columns), nil
	}
	return nil, fmt.Errorf("unknown output format %q; there are %s", f, strings.Join(Formats(), ", "))
}

type ndjson struct {
	w      io.Writer
	buf    []byte
	extend func(a *sinks.Alert, object []byte) []byte
}

func (r *ndjson) Write(a *sinks.Alert) error {
	r.buf = a.AppendLine(r.buf[:0])
	if r.extend != nil {
		r.buf = r.extend(a, r.buf)
	}
	r.buf = append(r.buf, '\n')
	_, err := r.w.Write(r.buf)
	return err
}

func (r *ndjson) Close() error { return nil }

type jsonArray struct {
	w      io.Writer
	buf    []byte
	some   bool
	extend func(a *sinks.Alert, object []byte) []byte
}

func (r *jsonArray) Write(a *sinks.Alert) error {
	lead := "[\n"
	if r.some {
		lead = ",\n"
	}
	r.some = true
	r.buf = a.AppendLine(append(r.buf[:0], lead...))
	if r.extend != nil {
		r.buf = r.extend(a, r.buf)
	}
	_, err := r.w.Write(r.buf)
	return err
}

func (r *jsonArray) Close() error {
	end := "\n]\n"
	if !r.some {
		end = "[]\n"
	}
	_, err := io.WriteString(r.w, end)
	return err
}

// csvTable guards against formulas: a cell that a spreadsheet would take for
// one gets an apostrophe in front, which spreadsheets show as text. A reader
// that wants the exact value takes it from a JSON form.
type csvTable struct {
	w       *csv.Writer
	columns []Column
	row     []string
	headed  bool
}

func newCSV(w io.Writer, columns []Column) *csvTable {
	return &csvTable{w: csv.NewWriter(w), columns: columns, row: make([]string, len(columns))}
}

func (r *csvTable) head() error {
	if r.headed {
		return nil
	}
	r.headed = true
	for i, c := range r.columns {
		r.row[i] = c.Name
	}
	return r.w.Write(r.row)
}

func (r *csvTable) Write(a *sinks.Alert) error {
	if err := r.head(); err != nil {
		return err
	}
	for i, c := range r.columns {
		r.row[i] = guardFormula(Visible(c.text(a)))
	}
	if err := r.w.Write(r.row); err != nil {
		return err
	}
	r.w.Flush()
	return r.w.Error()
}

func (r *csvTable) Close() error {
	if err := r.head(); err != nil {
		return err
	}
	r.w.Flush()
	return r.w.Error()
}

// guardFormula also knows the full-width signs that some spreadsheets accept,
// and looks past leading spaces, which some of them trim.
func guardFormula(s string) string {
	t := strings.TrimLeft(s, " ")
	for _, sign := range []string{"=", "+", "-", "@", "\t", `\t`, "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(t, sign) {
			return "'" + s
		}
	}
	return s
}
