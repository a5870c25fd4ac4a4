package files

import "bytes"

// mode is how a file's bytes are split into records, and where in a document
// a framer stands.
type mode uint8

const (
	modeUnknown mode = iota
	modeLines        // a record a line
	modeDocs         // between whole documents
	modeRecords      // in the array of a {"Records":[…]} document
	modeArray        // in an array that is a document itself
)

// detectBytes is how far detect looks before it has to decide.
const detectBytes = 64 << 10

// detect tells from a file's head how to split it; modeUnknown asks for more
// bytes. final says that there are no more to come.
//
//   - a document with a Records array, or an array of objects: its elements;
//   - a JSON object that ends where its line ends: lines;
//   - a JSON object over several lines, or two on one line: whole documents;
//   - everything else, broken JSON too: lines, for there one can find one's
//     way again after what is broken.
func detect(head []byte, final bool) mode {
	undecided := modeUnknown
	if final {
		undecided = modeLines
	}
	p := skipSpace(head, 0)
	if p == len(head) {
		return undecided
	}
	switch head[p] {
	case '[':
		q := skipSpace(head, p+1)
		switch {
		case q == len(head):
			return undecided
		case head[q] == '{' || head[q] == '[' || head[q] == ']':
			return modeDocs
		}
		return modeLines
	case '{':
	default:
		return modeLines
	}
	end, what := skim(head[p:])
	folded := bytes.IndexByte(head[p:p+end], '\n') >= 0
	switch what {
	case skimRecords:
		return modeDocs
	case skimBroken:
		return modeLines
	case skimShort:
		switch {
		case !final && len(head) < detectBytes:
			return modeUnknown
		case folded:
			return modeDocs
		}
		return modeLines
	case skimWhole:
	}
	if folded {
		return modeDocs
	}
	for _, c := range head[p+end:] {
		switch c {
		case ' ', '\t', '\r':
		case '\n':
			return modeLines
		default:
			return modeDocs
		}
	}
	return undecided
}

type skimResult uint8

const (
	skimWhole   skimResult = iota // an object that ends at end
	skimShort                     // the bytes end before the object does
	skimBroken                    // not JSON
	skimRecords                   // an array is the value of the key Records, at the top
)

// skim walks over the object at the start of b with just enough of JSON's
// grammar to tell a document over several lines from a line that is cut short:
// brackets match, keys and values take turns, strings hold no newline.
func skim(b []byte) (end int, what skimResult) {
	const (
		wantKey = iota // or the end of the object
		wantColon
		wantValue // or the end of the array
		wantComma // or the end
	)
	var stack []byte
	want := wantValue
	records := false // the last key is Records, at the top
	for p := 0; p < len(b); p++ {
		c := b[p]
		switch c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			if want != wantValue {
				return p, skimBroken
			}
			if c == '[' && records && len(stack) == 1 {
				return p, skimRecords
			}
			stack = append(stack, c)
			want = wantValue
			if c == '{' {
				want = wantKey
			}
		case '}', ']':
			if len(stack) == 0 || stack[len(stack)-1] != c-2 || want == wantColon || (c == '}' && want == wantValue) {
				return p, skimBroken
			}
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				return p + 1, skimWhole
			}
			want = wantComma
		case ',':
			if want != wantComma {
				return p, skimBroken
			}
			want = wantValue
			if stack[len(stack)-1] == '{' {
				want = wantKey
			}
		case ':':
			if want != wantColon {
				return p, skimBroken
			}
			want = wantValue
		case '"':
			q := p + 1
			for q < len(b) && b[q] != '"' {
				if b[q] < ' ' {
					return q, skimBroken
				}
				if b[q] == '\\' {
					q++
				}
				q++
			}
			if q >= len(b) {
				return len(b), skimShort
			}
			switch want {
			case wantKey:
				records = len(stack) == 1 && string(b[p+1:q]) == "Records"
				want = wantColon
			case wantValue:
				want = wantComma
			default:
				return p, skimBroken
			}
			p = q
		default:
			if want != wantValue || !isScalar(c) {
				return p, skimBroken
			}
			for p+1 < len(b) && isScalar(b[p+1]) {
				p++
			}
			want = wantComma
		}
	}
	return len(b), skimShort
}

// isScalar holds for the bytes of numbers, true, false and null.
func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func skipSpace(b []byte, p int) int {
	for p < len(b) && isSpace(b[p]) {
		p++
	}
	return p
}
