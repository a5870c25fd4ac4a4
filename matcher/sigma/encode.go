package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/trailtide/trailtide/matcher"
)

// pattern is a value that is compared: literal text and wildcards.
type pattern []matcher.GlobToken

// literal returns the pattern's text if it has no wildcard.
func (p pattern) literal() (string, bool) {
	text := ""
	for _, t := range p {
		if t.Kind != matcher.GlobLiteral {
			return "", false
		}
		text += t.Text
	}
	return text, true
}

func literalPattern(text string) pattern {
	if text == "" {
		return nil
	}
	return pattern{{Kind: matcher.GlobLiteral, Text: text}}
}

// dashes are the characters that windash exchanges. Semantics: Sigma modifiers
// appendix, windash: hyphen, slash, en dash, em dash, horizontal bar.
const dashes = "-/\u2013\u2014\u2015"

// windash returns p with each of its dashes in every form; ok is false when
// that is too much.
func (p pattern) windash() (out []pattern, ok bool) {
	forms := make([][]string, len(p))
	total := 1
	for i, t := range p {
		forms[i] = []string{t.Text}
		if t.Kind == matcher.GlobLiteral {
			if forms[i], ok = dashForms(t.Text); !ok {
				return nil, false
			}
		}
		if total *= len(forms[i]); total > maxAlternatives || total*len(p) > maxTokens {
			return nil, false
		}
	}
	for n := range total {
		q := make(pattern, len(p))
		for i, t := range p {
			q[i] = matcher.GlobToken{Kind: t.Kind, Text: forms[i][n%len(forms[i])]}
			n /= len(forms[i])
		}
		out = append(out, q)
	}
	return out, true
}

func dashForms(text string) (out []string, ok bool) {
	out = []string{""}
	for text != "" {
		i := strings.IndexAny(text, dashes)
		if i < 0 {
			i = len(text)
		}
		for j := range out {
			out[j] += text[:i]
		}
		if text = text[i:]; text == "" {
			break
		}
		if len(out)*5 > maxAlternatives {
			return nil, false
		}
		var next []string
		for _, head := range out {
			for _, dash := range dashes {
				next = append(next, head+string(dash))
			}
		}
		out = next
		for _, dash := range dashes {
			if rest, is := strings.CutPrefix(text, string(dash)); is {
				text = rest
				break
			}
		}
	}
	return out, true
}

// encode applies one of the encodings to a text.
// Semantics: Sigma modifiers appendix, String Encoding.
func encode(name, text string) []string {
	switch name {
	case "utf16le", "wide":
		return []string{string(utf16Bytes(binary.LittleEndian, nil, text))}
	case "utf16be":
		return []string{string(utf16Bytes(binary.BigEndian, nil, text))}
	case "utf16":
		return []string{string(utf16Bytes(binary.LittleEndian, []byte{0xff, 0xfe}, text))}
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(text))}
	default:
		return base64Offsets(text)
	}
}

func utf16Bytes(order binary.AppendByteOrder, dst []byte, text string) []byte {
	for _, unit := range utf16.Encode([]rune(text)) {
		dst = order.AppendUint16(dst, unit)
	}
	return dst
}

// base64Offsets returns the parts of the base64 texts of anything that contains
// text which do not depend on what stands before and behind it, for each of
// the three ways that it may fall on groups of three bytes.
func base64Offsets(text string) []string {
	var out []string
	for shift := range 3 {
		s := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
		from := (shift*8 + 5) / 6 // characters that hold bits of what stands before
		to := (shift + len(text)) * 8 / 6
		if from < to {
			out = append(out, s[from:to])
		}
	}
	return out
}
