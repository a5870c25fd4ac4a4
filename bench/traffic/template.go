package traffic

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
)

// op is a kind of API call.
type op struct {
	service string // before .amazonaws.com
	name    string
	read    bool // readOnly
	data    bool // a data event
	global  bool // recorded in us-east-1
	console bool // a sign-in at the console
	req     string
	resp    string
	extra   string // additionalEventData
	errs    []failure
	err     failure // it fails, always

	reqT, respT, extraT template
}

// failure is what an API call fails with.
type failure struct{ code, message string }

// template is text with holes. In the source text a hole is a dollar and a
// letter: A account, R region, U user name, r role name, b bucket, k object key, w word,
// h 17 hex digits, 8 eight hex digits, u UUID, n number, p private address, K 16
// letters and digits, B base64, t the event's time, e an hour later, d its date,
// $ a dollar.
type template []part

type part struct {
	text string
	hole byte // after text; 0: none
}

func compile(s string) (template, error) {
	var t template
	for {
		i := 0
		for i < len(s) && s[i] != '$' {
			i++
		}
		if i == len(s) {
			if s != "" {
				t = append(t, part{text: s})
			}
			return t, nil
		}
		if i+1 == len(s) {
			return nil, fmt.Errorf("compile template: a dollar at the end of %q", s)
		}
		t = append(t, part{s[:i], s[i+1]})
		s = s[i+2:]
	}
}

// rng is splitmix64: one word of state, so that every event can have its own.
// Semantics: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// mixed is a generator of its own for the n-th thing of a seed.
func mixed(seed, n uint64) rng {
	r := rng(n)
	r = rng(r.next() ^ seed)
	return rng(r.next())
}

func (r *rng) below(n int) int { return int((r.next() >> 33) * uint64(n) >> 31) }

const (
	hexDigits = "0123456789abcdef"
	keyChars  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b64Chars  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)

func (r *rng) appendHex(dst []byte, n int) []byte {
	for n > 0 {
		v := r.next()
		for k := min(n, 16); k > 0; k-- {
			dst = append(dst, hexDigits[v&15])
			v >>= 4
			n--
		}
	}
	return dst
}

func (r *rng) appendUUID(dst []byte) []byte {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], r.next())
	binary.LittleEndian.PutUint64(b[8:], r.next())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	for i, v := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[v>>4], hexDigits[v&15])
	}
	return dst
}

func (r *rng) appendFrom(dst []byte, chars string, bits, n int) []byte {
	for n > 0 {
		v := r.next()
		for k := min(n, 64/bits); k > 0; k-- {
			dst = append(dst, chars[v&(1<<bits-1)])
			v >>= bits
			n--
		}
	}
	return dst
}

var words = []string{
	"orders", "billing", "checkout", "catalog", "search", "payments", "ledger", "media", "reports", "ingest", "events",
	"profile", "session", "gateway", "pricing", "shipping", "returns", "metrics", "audit", "backup", "export", "feed", "mailer", "risk",
}

// scene is what the holes of one event's templates are filled from.
type scene struct {
	r       rng
	at      int64 // Unix seconds
	account string
	region  string
	user    string
}

func (s *scene) fill(dst []byte, t template) []byte {
	for _, p := range t {
		dst = append(dst, p.text...)
		switch p.hole {
		case 0:
		case 'A':
			dst = append(dst, s.account...)
		case 'R':
			dst = append(dst, s.region...)
		case 'U':
			dst = append(dst, s.user...)
		case 'r':
			dst = append(dst, roles[s.r.below(len(roles))]...)
		case 'b':
			// Buckets belong to accounts.
			dst = append(dst, words[s.r.below(len(words))]...)
			dst = append(dst, '-')
			dst = append(dst, s.account[4:]...)
		case 'k':
			dst = append(dst, words[s.r.below(len(words))]...)
			dst = append(dst, "/dt="...)
			dst = appendDate(dst, s.at)
			dst = append(dst, "/part-"...)
			dst = s.r.appendHex(dst, 8)
			dst = append(dst, ".parquet"...)
		case 'w':
			dst = append(dst, words[s.r.below(len(words))]...)
		case 'h':
			dst = s.r.appendHex(dst, 17)
		case '8':
			dst = s.r.appendHex(dst, 8)
		case 'u':
			dst = s.r.appendUUID(dst)
		case 'n':
			dst = strconv.AppendInt(dst, int64(1+s.r.below(4096)), 10)
		case 'p':
			v := s.r.next()
			dst = append(dst, "10."...)
			dst = strconv.AppendUint(dst, v&127, 10)
			dst = append(dst, '.')
			dst = strconv.AppendUint(dst, v>>8&255, 10)
			dst = append(dst, '.')
			dst = strconv.AppendUint(dst, v>>16&255, 10)
		case 'K':
			dst = s.r.appendFrom(dst, keyChars, 5, 16)
		case 'B':
			dst = s.r.appendFrom(dst, b64Chars, 6, 76)
		case 't':
			dst = appendTime(dst, s.at)
		case 'e':
			dst = appendTime(dst, s.at+3600)
		case 'd':
			dst = appendDate(dst, s.at)
		default:
			dst = append(dst, p.hole)
		}
	}
	return dst
}

// appendTime writes Unix seconds as CloudTrail does.
func appendTime(dst []byte, at int64) []byte {
	return time.Unix(at, 0).UTC().AppendFormat(dst, "2006-01-02T15:04:05Z")
}

func appendDate(dst []byte, at int64) []byte {
	return time.Unix(at, 0).UTC().AppendFormat(dst, "2006-01-02")
}
