package cloudtrail

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	valid := []string{
		"2026-03-04T05:06:07Z", "2026-03-04T05:06:07.1Z", "2026-03-04T05:06:07.123456789Z", "2026-03-04T05:06:07.1234567899Z",
		"2026-03-04T05:06:07+05:30", "2026-03-04T05:06:07.5-11:59", "2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z",
		"1969-12-31T23:59:59.999Z", "1678-01-01T00:00:00Z", "2261-12-31T23:59:59Z", "1970-01-01T00:00:00Z",
	}
	for _, s := range valid {
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ParseTime([]byte(s)); !ok || got != want.UnixNano() {
			t.Errorf("ParseTime(%s) = %d, %v; want %d", s, got, ok, want.UnixNano())
		}
	}
	for _, s := range []string{
		"", "2026-03-04", "2026-03-04T05:06:07", "2026-03-04 05:06:07Z", "2026-03-04T05:06:07z", "2026-03-04T05:06:07.Z",
		"2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z", "2026-01-01T00:00:00+24:00",
		"2026-01-01T00:00:00+0000", "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00.1", "1677-12-31T23:59:59Z", "2262-01-01T00:00:00Z",
		"202a-01-01T00:00:00Z", "2026-01-01T0a:00:00Z", "+026-01-01T00:00:00Z", "1772600767", "2026-01-01T00:00:00,5Z",
	} {
		if got, ok := ParseTime([]byte(s)); ok {
			t.Errorf("ParseTime(%q) = %d", s, got)
		}
	}
}

// Each day of several centuries, leap years and all.
func TestParseTimeDays(t *testing.T) {
	for day := time.Date(1678, 1, 1, 12, 0, 0, 0, time.UTC); day.Year() < 2262; day = day.AddDate(0, 0, 1) {
		if got, ok := ParseTime([]byte(day.Format(time.RFC3339))); !ok || got != day.UnixNano() {
			t.Fatalf("%v: %d, %v", day, got, ok)
		}
	}
}

func TestEventTime(t *testing.T) {
	for doc, want := range map[string]bool{
		consoleLogin: true,
		`{"eventTime":"2026-03-04T05:06:07\u005a"}`: true,
		`{"eventTime":1772600767}`:                  false,
		`{"eventTime":"yesterday"}`:                 false,
		`{}`:                                        false,
		`{"eventTime`:                               false,
	} {
		e := new(Event)
		e.Reset([]byte(doc))
		nanos, ok := e.Time()
		if ok != want || ok && nanos != time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC).UnixNano() {
			t.Errorf("Time of %s = %d, %v", doc, nanos, ok)
		}
	}
}

// A remembered day changes nothing about what a time is.
func TestRememberedDay(t *testing.T) {
	times := []string{
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0000:00:00Z", "2026-03-04T05:06:07Z", "2026-03-04T23:59:59Z", "2026-03-04T24:00:00Z",
		"2026-03-04T05:06:07+01:00", "2026-03-04T05:06:07.5Z", "2026-03-04T05.06:07Z", "2026-03-04T05:0a:07Z", "2026-03-05T00:00:00Z",
		"1969-12-31T23:59:59Z", "1969-12-31T00:00:00Z", "2026-02-30T05:06:07Z", "2026-02-30T05:06:08Z", "", "2026-03-04T05:06:60Z",
	}
	var d day
	for _, before := range times {
		for _, s := range times {
			d.parse([]byte(before))
			got, ok := d.parse([]byte(s))
			if want, wantOK := ParseTime([]byte(s)); got != want && wantOK || ok != wantOK {
				t.Errorf("%q after %q: %d, %v; want %d, %v", s, before, got, ok, want, wantOK)
			}
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-03-04T05:06:07Z", "2024-02-29T23:59:59.123-11:30", "1900-02-29T00:00:00Z", "2026-03-04T05:06:60+23:59"} {
		f.Add(s)
	}
	var d day
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime([]byte(s))
		if nanos, valid := d.parse([]byte(s)); valid != ok || ok && nanos != got {
			t.Fatalf("%q is %d, %v with a remembered day, otherwise %d, %v", s, nanos, valid, got, ok)
		}
		want, err := time.Parse(time.RFC3339Nano, s)
		if ok && (err != nil || got != want.UnixNano()) {
			t.Fatalf("ParseTime(%q) = %d; time.Parse has %v, %v", s, got, want, err)
		}
		// What time.Parse takes and ParseTime does not: commas, offsets of a day, far years.
		if !ok && err == nil && want.Format(time.RFC3339Nano) == s && want.Year() > 1678 && want.Year() < 2261 {
			if _, offset := want.Zone(); offset > -86400 && offset < 86400 {
				t.Fatalf("ParseTime refuses %q", s)
			}
		}
	})
}
