package native

import (
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

type atlas struct{}

func (atlas) Country(ip string) (code, name string, ok bool) {
	return "DE", "Germany", ip == "192.0.2.1"
}
func (atlas) AccountName(string) (string, bool) { return "", false }
func (atlas) InList(name, value string) bool    { return name == "bad" && value == "192.0.2.9" }

func TestCountryAndList(t *testing.T) {
	for body, want := range map[string]string{
		"sourceIPAddress: {country: [FR, de]}":             "192.0.2.1",
		"sourceIPAddress: {list: [good, bad]}":             "192.0.2.9",
		"sourceIPAddress: {not: {country: DE}, list: bad}": "192.0.2.9",
		"sourceIPAddress: {each: {country: DE}}":           "192.0.2.1",
	} {
		s, err := Loader{}.Parse("f.yaml", []byte(matching(body)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := matcher.Compile(s.Rules, matcher.Options{}); err == nil || !strings.Contains(err.Error(), "enrich.") {
			t.Errorf("%s: without enrichment: %v", body, err)
		}
		rs, err := matcher.Compile(s.Rules, matcher.Options{Enrich: atlas{}})
		if err != nil {
			t.Fatal(err)
		}
		for _, ip := range []string{"192.0.2.1", "192.0.2.9", "ec2.amazonaws.com"} {
			var ev cloudtrail.Event
			ev.Reset([]byte(`{"sourceIPAddress":"` + ip + `"}`))
			hits, _, err := rs.NewMatcher().Match(nil, &ev)
			if err != nil || (len(hits) > 0) != (ip == want) {
				t.Errorf("%s: %s: %d hits, %v", body, ip, len(hits), err)
			}
		}
	}
}
