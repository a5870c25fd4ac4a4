package native

import (
	"regexp"

	"github.com/trailtide/trailtide/matcher"
)

var countryCode = regexp.MustCompile(`^[A-Za-z]{2}$`)

// country reads ISO 3166 codes.
func (r *reader) country(e entry) matcher.Op {
	codes := r.strings(e.val, e.key, false)
	for _, code := range codes {
		if !countryCode.MatchString(code) {
			r.errorf(e.val, "country: %q is no ISO 3166 code of two letters, such as DE", clip(code))
			return nil
		}
	}
	if len(codes) == 0 {
		return nil
	}
	return matcher.Country(codes...)
}
