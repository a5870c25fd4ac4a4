package files

// scanner finds where a JSON value ends, and nothing else. It can stop
// anywhere and go on with the next bytes. Brackets are counted, not matched:
// whether the value is JSON is for the reader of the record to say.
type scanner struct {
	depth  int
	quoted bool // in a string
	escape bool // after a backslash in a string
}

const (
	stopPlain  = 1 << iota // a byte that means something outside of strings
	stopQuoted             // … and inside
)

// stops says of each byte where it means something to a scanner.
var stops = [256]byte{
	'{': stopPlain, '[': stopPlain, '}': stopPlain, ']': stopPlain,
	'"': stopPlain | stopQuoted, '\\': stopQuoted,
}

// run scans b, which begins where the last run ended. It returns how many bytes
// it consumed and whether the value ended with them.
func (s *scanner) run(b []byte) (n int, ended bool) {
	i := 0
	if s.escape && len(b) > 0 {
		s.escape = false
		i = 1
	}
	for {
		if s.quoted {
			for i < len(b) && stops[b[i]]&stopQuoted == 0 {
				i++
			}
			if i == len(b) {
				return i, false
			}
			if b[i] == '\\' {
				if i+1 == len(b) {
					s.escape = true
					return i + 1, false
				}
				i += 2
				continue
			}
			s.quoted = false
			i++
			if s.depth == 0 {
				return i, true
			}
		}
		for i < len(b) && stops[b[i]]&stopPlain == 0 {
			i++
		}
		if i == len(b) {
			return i, false
		}
		switch b[i] {
		case '"':
			s.quoted = true
		case '{', '[':
			s.depth++
		default:
			s.depth--
			if s.depth <= 0 {
				return i + 1, true
			}
		}
		i++
	}
}
