package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// isTerminal says whether w is a terminal, and how wide.
func isTerminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = 80
	}
	return width, true
}

// progress is one line on a terminal that is drawn over itself.
type progress struct {
	w     io.Writer
	width int
	start time.Time
}

// line renders how far a scan is: bytes done of all, events a second, time left.
func (p *progress) line(now time.Time, done, total, events, alerts int64) string {
	elapsed := now.Sub(p.start)
	var share float64
	if total > 0 {
		share = min(float64(done)/float64(total), 1)
	}
	left := "--"
	if share > 0 {
		left = time.Duration(float64(elapsed) * (1 - share) / share).Round(time.Second).String()
	}
	rate := float64(events) / max(elapsed.Seconds(), 0.001)
	tail := fmt.Sprintf(" %3.0f%%  %s events  %s/s  %d alerts  ETA %s", share*100, short(float64(events)), short(rate), alerts, left)
	bar := max(p.width-len(tail)-3, 0)
	if bar < 5 {
		return strings.TrimSpace(tail)[:min(len(strings.TrimSpace(tail)), max(p.width-1, 1))]
	}
	full := int(share * float64(bar))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", bar-full) + "]" + tail
}

func (p *progress) draw(line string) {
	fmt.Fprintf(p.w, "\r\x1b[K%s", line)
}

// clear removes the line, so that what comes next stands alone.
func (p *progress) clear() { fmt.Fprint(p.w, "\r\x1b[K") }

// short writes a number with a unit: 950, 12.3k, 4.56M.
func short(n float64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2fG", n/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1fk", n/1e3)
	}
	return fmt.Sprintf("%.0f", n)
}
