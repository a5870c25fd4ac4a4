package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/trailtide/trailtide/sinks"
)

// tableSample is how many rows the column widths are taken from. A longer
// table is written row by row from there on.
const tableSample = 500

// minWidth is what a column is not narrowed below.
const minWidth = 8

type table struct {
	w      io.Writer
	o      Options
	rows   [][]string // held back until the widths are known
	widths []int
	line   strings.Builder
}

func (t *table) Write(a *sinks.Alert) error {
	row := make([]string, len(t.o.Columns))
	for i, c := range t.o.Columns {
		row[i] = cell(c.text(a))
	}
	if t.widths != nil {
		return t.write(row, a.Severity)
	}
	t.rows = append(t.rows, append(row, a.Severity))
	if len(t.rows) < tableSample {
		return nil
	}
	return t.flush()
}

func (t *table) Close() error {
	if t.widths != nil || len(t.rows) == 0 {
		return nil
	}
	return t.flush()
}

func (t *table) flush() error {
	t.widths = make([]int, len(t.o.Columns))
	head := make([]string, len(t.o.Columns))
	for i, c := range t.o.Columns {
		head[i] = strings.ToUpper(strings.ReplaceAll(c.Name, "_", " "))
		t.widths[i] = textWidth(head[i])
	}
	for _, row := range t.rows {
		for i := range t.widths {
			t.widths[i] = max(t.widths[i], textWidth(row[i]))
		}
	}
	t.narrow()
	if err := t.write(head, ""); err != nil {
		return err
	}
	for _, row := range t.rows {
		last := len(row) - 1
		if err := t.write(row[:last], row[last]); err != nil {
			return err
		}
	}
	t.rows = nil
	return nil
}

// narrow takes columns away from the widest until the table fits.
func (t *table) narrow() {
	if t.o.Width <= 0 {
		return
	}
	total := 2 * (len(t.widths) - 1)
	for _, w := range t.widths {
		total += w
	}
	for ; total > t.o.Width; total-- {
		widest := -1
		for i, w := range t.widths {
			if !t.o.Columns[i].keep && w > minWidth && (widest < 0 || w > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
	}
}

func (t *table) write(row []string, severity string) error {
	t.line.Reset()
	for i, text := range row {
		text = clip(text, t.widths[i])
		pad := strings.Repeat(" ", max(t.widths[i]-textWidth(text), 0))
		if t.o.Color && severity != "" && t.o.Columns[i].Name == "severity" {
			text = paint(text, severity)
		}
		switch {
		case t.o.Columns[i].Name == "count" || t.o.Columns[i].Name == "distinct":
			t.line.WriteString(pad + text)
		case i == len(row)-1:
			t.line.WriteString(text)
		default:
			t.line.WriteString(text + pad)
		}
		if i < len(row)-1 {
			t.line.WriteString("  ")
		}
	}
	_, err := io.WriteString(t.w, strings.TrimRight(t.line.String(), " ")+"\n")
	return err
}

// paint colours text by severity.
func paint(text, severity string) string {
	var code string
	switch severity {
	case "critical":
		code = "1;31"
	case "high":
		code = "31"
	case "medium":
		code = "33"
	case "low":
		code = "36"
	case "info":
		code = "2"
	default:
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", code, text)
}
