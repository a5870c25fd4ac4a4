package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/trailtide/trailtide/sinks"
)

// AppendLine appends a as one line for people, without its end: when, how
// bad, which rule, who, from where, in which account and region, what.
func AppendLine(dst []byte, a *sinks.Alert, color bool) []byte {
	severity := fmt.Sprintf("%-8s", strings.ToUpper(cell(a.Severity)))
	if color {
		severity = paint(severity, a.Severity)
	}
	dst = fmt.Appendf(dst, "%s  %s  %s", stamp(a.Time), severity, cell(a.RuleID))
	if a.Status != sinks.Firing {
		dst = fmt.Appendf(dst, "  [%s]", cell(string(a.Status)))
	}
	if a.Title != "" {
		dst = fmt.Appendf(dst, "  %s", cell(a.Title))
	}
	if a.Count > 1 || a.CountCapped {
		dst = fmt.Appendf(dst, "  ×%s", count(a))
	}
	for _, f := range []struct{ label, text string }{
		{"event", a.EventName},
		{"user", a.User},
		{"from", a.SourceIP},
		{"account", a.Account},
		{"region", a.Region},
		{"by", group(a)},
	} {
		if f.text != "" {
			dst = fmt.Appendf(dst, "  %s=%s", f.label, cell(f.text))
		}
	}
	return dst
}

// Detail writes everything about a on one page: each field that is set, then
// the raw events, indented.
func Detail(w io.Writer, a *sinks.Alert, color bool) error {
	var b strings.Builder
	field := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-14s %s\n", label, cell(text))
		}
	}
	title := cell(a.Title)
	if color {
		title = paint(title, a.Severity)
	}
	fmt.Fprintf(&b, "%s\n\n", title)
	for _, c := range columns() {
		if c.Name != "title" {
			field(strings.ReplaceAll(c.Name, "_", " "), c.text(a))
		}
	}
	field("merged into", a.MergedInto)
	for _, id := range a.EventIDs {
		field("counted event", id)
	}
	field("description", a.Description)
	field("runbook", a.Runbook)
	for _, r := range a.References {
		field("reference", r)
	}
	if a.EvidenceCut {
		field("evidence", "raw events were left out to keep the alert small")
	}
	events := a.Events
	if len(events) == 0 && len(a.Event) > 0 {
		events = []json.RawMessage{a.Event}
	}
	for _, e := range events {
		b.WriteByte('\n')
		writeIndented(&b, e)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeIndented shows raw with its tokens on lines of their own; what its
// strings hide is made visible.
func writeIndented(b *strings.Builder, raw []byte) {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		out.Reset()
		out.Write(raw) // not JSON: as it is
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		b.WriteString(Visible(line))
		b.WriteByte('\n')
	}
}
