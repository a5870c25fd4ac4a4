package matcher

import (
	"cmp"
	"strconv"
	"time"
)

// DatePart is a part of a point in time.
type DatePart uint8

// The parts, in UTC: Day is the day of the month, Week the ISO 8601 week.
const (
	Minute DatePart = iota
	Hour
	Day
	Week
	Month
	Year
)

var datePartNames = [...]string{
	Minute: "minute", Hour: "hour", Day: "day", Week: "week", Month: "month", Year: "year",
}

// CompareDatePart holds for a string that writes a date (and time) whose part
// stands in the relation to operand. A time without a zone is taken for UTC.
// The forms are those that CloudTrail has: RFC 3339, the same without zone or
// with a space, a date alone, and "Jan 2, 2006 3:04:05 PM".
func CompareDatePart(part DatePart, rel Relation, operand int) Op {
	return &datePartCompare{part: part, rel: rel, operand: operand}
}

type datePartCompare struct {
	onText
	part    DatePart
	rel     Relation
	operand int
}

// dateForms are tried in order; seconds take a fraction in any of them.
var dateForms = [...]string{
	time.RFC3339,
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02",
	"Jan 2, 2006 3:04:05 PM",
	"Jan 2, 2006, 3:04:05 PM",
}

// Bounds of a text that may be a date.
const (
	minDateText = len("2006-01-02")
	maxDateText = 48
)

func (c *datePartCompare) eval(e *evaluator) bool {
	if !e.cur.isText || len(e.cur.text) < minDateText || len(e.cur.text) > maxDateText {
		return false
	}
	text := b2v(e.cur.text)
	for _, form := range dateForms {
		// A failed parse allocates an error that holds the text, whose memory does
		// not stay; the error is not kept.
		if t, err := time.Parse(form, text); err == nil {
			return c.rel.holds(cmp.Compare(c.part.of(t.UTC()), c.operand))
		}
	}
	return false
}

func (p DatePart) of(t time.Time) int {
	switch p {
	case Minute:
		return t.Minute()
	case Hour:
		return t.Hour()
	case Day:
		return t.Day()
	case Week:
		_, week := t.ISOWeek()
		return week
	case Month:
		return int(t.Month())
	default:
		return t.Year()
	}
}

func (c *datePartCompare) canon(dst []byte) []byte {
	dst = append(append(dst, "(date-"...), datePartNames[c.part]...)
	dst = append(append(dst, c.rel.String()...), ' ')
	return append(strconv.AppendInt(dst, int64(c.operand), 10), ')')
}

func (c *datePartCompare) words() string {
	return "has " + datePartNames[c.part] + " " + c.rel.String() + " " + strconv.Itoa(c.operand)
}
