package sinks

// Secret is a password, token or key. Its text never leaves by accident: it
// prints and marshals as "[redacted]" in every form; Reveal gives it out.
type Secret string

const redacted = "[redacted]"

// Reveal returns the text itself. Do not log or wrap it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" where there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString does what String does for %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText does what String does for JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
