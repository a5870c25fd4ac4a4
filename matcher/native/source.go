package native

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// source returns the text of the list item n, which ends before line stop,
// moved to the left edge.
func (r *reader) source(n *yaml.Node, stop int) string {
	if n.Style&yaml.FlowStyle != 0 {
		out, err := yaml.Marshal(n)
		if err != nil {
			return "" // cannot be: the node was parsed
		}
		return string(out)
	}
	indent := n.Column - 1
	last := lastLine(n)
	var b strings.Builder
	for line := n.Line; line < stop && line <= len(r.lines); line++ {
		text := strings.TrimSuffix(r.lines[line-1], "\r")
		margin := len(text) - len(strings.TrimLeft(text, " "))
		switch {
		case line == n.Line:
			text = text[min(indent, len(text)):]
		case margin < indent && line > last && strings.TrimSpace(text) != "":
			return trimSource(b.String()) // of what comes after
		default:
			text = text[min(indent, margin):]
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	return trimSource(b.String())
}

func trimSource(s string) string { return strings.TrimRight(s, "\n \t") + "\n" }

// lastLine is the last line on which something of n begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}
