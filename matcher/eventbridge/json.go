package eventbridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/trailtide/trailtide/matcher"
)

// kind is the JSON type of a value.
type kind uint8

const (
	textValue kind = iota
	numberValue
	boolValue
	nullValue
	listValue
	objectValue
)

var kindNames = [...]string{"a string", "a number", "a boolean", "null", "an array", "an object"}

func (k kind) String() string { return kindNames[k] }

// value is a JSON value of a pattern, with its place. Duplicate keys are kept.
type value struct {
	kind    kind
	text    string // a string's text; a number, true, false or null as it is written
	pos     matcher.Pos
	members []member
	items   []*value
}

type member struct {
	key string
	pos matcher.Pos
	val *value
}

func (v *value) errorf(format string, args ...any) error { return errorAt(v.pos, format, args...) }

func errorAt(pos matcher.Pos, format string, args ...any) error {
	return &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// readJSON reads the JSON text of a pattern, strictly.
func readJSON(file string, src []byte) (*value, error) {
	p := &places{file: file, src: src}
	if len(src) > MaxSize {
		return nil, errorAt(p.at(0), "a pattern of %d bytes, more than the limit of %d KiB", len(src), MaxSize>>10)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(src, &whole); err != nil {
		at := int64(0)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = max(syntax.Offset-1, 0)
		}
		return nil, errorAt(p.at(int(at)), "not JSON: %v", err)
	}
	d := &decoder{dec: json.NewDecoder(bytes.NewReader(src)), places: p}
	d.dec.UseNumber()
	v, err := d.value(1)
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = errorAt(p.at(int(d.dec.InputOffset())), "not JSON: %v", err)
		}
		return nil, err
	}
	return v, nil
}

// places turns offsets, which only grow, into positions.
type places struct {
	file         string
	src          []byte
	offset       int
	line, column int // of offset, from 0; columns are characters
}

func (p *places) at(offset int) matcher.Pos {
	offset = min(offset, len(p.src))
	for ; p.offset < offset; p.offset++ {
		switch c := p.src[p.offset]; {
		case c == '\n':
			p.line++
			p.column = 0
		case utf8.RuneStart(c):
			p.column++
		}
	}
	return matcher.Pos{File: p.file, Line: p.line + 1, Col: p.column + 1}
}

// decoder reads values with their places.
type decoder struct {
	dec    *json.Decoder
	places *places
}

// next is the place where the next token begins.
func (d *decoder) next() matcher.Pos {
	i := int(d.dec.InputOffset())
	for i < len(d.places.src) && bytes.IndexByte([]byte(" \t\r\n,:"), d.places.src[i]) >= 0 {
		i++
	}
	return d.places.at(i)
}

func (d *decoder) value(depth int) (*value, error) {
	v := &value{pos: d.next()}
	if depth > MaxDepth {
		return nil, v.errorf("nested deeper than %d levels", MaxDepth)
	}
	t, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case string:
		v.kind, v.text = textValue, t
	case json.Number:
		if v.kind, v.text = numberValue, t.String(); len(v.text) > maxNumber {
			return nil, v.errorf("a number of %d characters, more than the limit of %d", len(v.text), maxNumber)
		}
	case bool:
		v.kind, v.text = boolValue, strconv.FormatBool(t)
	case nil:
		v.kind, v.text = nullValue, "null"
	case json.Delim:
		if t == '[' {
			v.kind = listValue
			err = d.list(v, depth)
		} else {
			v.kind = objectValue
			err = d.object(v, depth)
		}
	}
	return v, err
}

func (d *decoder) list(v *value, depth int) error {
	for d.dec.More() {
		item, err := d.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
	}
	return d.end()
}

func (d *decoder) object(v *value, depth int) error {
	for d.dec.More() {
		m := member{pos: d.next()}
		t, err := d.dec.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return io.ErrUnexpectedEOF
		}
		m.key = key
		if m.val, err = d.value(depth + 1); err != nil {
			return err
		}
		v.members = append(v.members, m)
	}
	return d.end()
}

// end consumes the bracket that closes a list or an object.
func (d *decoder) end() error {
	_, err := d.dec.Token()
	return err
}

// maxLabel bounds what an explanation shows of a pattern.
const maxLabel = 160

// label renders a key and its value in the pattern's own words.
func label(path string, v *value) string {
	b := v.append(strconv.AppendQuote(nil, path), ": ")
	if len(b) > maxLabel {
		return string(bytes.ToValidUTF8(b[:maxLabel], nil)) + "…"
	}
	return string(b)
}

func (v *value) append(dst []byte, before string) []byte {
	dst = append(dst, before...)
	if len(dst) > maxLabel {
		return dst
	}
	switch v.kind {
	case textValue:
		return strconv.AppendQuote(dst, v.text)
	case listValue:
		dst = append(dst, '[')
		for i, item := range v.items {
			dst = item.append(dst, separator(i))
		}
		return append(dst, ']')
	case objectValue:
		dst = append(dst, '{')
		for i, m := range v.members {
			dst = append(dst, separator(i)...)
			dst = m.val.append(strconv.AppendQuote(dst, m.key), ": ")
		}
		return append(dst, '}')
	default:
		return append(dst, v.text...)
	}
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}
