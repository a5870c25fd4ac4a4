package enrich_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/enrich"
)

var (
	_ matcher.Enricher         = (*enrich.Enricher)(nil)
	_ matcher.EnrichmentHolder = (*enrich.Enricher)(nil)
)

// write makes a file and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// database makes a MaxMind file of records by network.
func database(t testing.TB, records map[string]mmdbtype.Map) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-Country", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return write(t, "country.mmdb", b.String())
}

func records() map[string]mmdbtype.Map {
	return map[string]mmdbtype.Map{
		"198.51.100.0/24": {"country": mmdbtype.Map{"iso_code": mmdbtype.String("IN"), "names": mmdbtype.Map{"en": mmdbtype.String("India"), "de": mmdbtype.String("Indien")}}},
		"203.0.113.0/24":  {"country_code": mmdbtype.String("us")},
		"192.0.2.0/25":    {"country_code": mmdbtype.String("XK"), "country_name": mmdbtype.String("Kosovo"), "country": mmdbtype.String("a text")},
		"192.0.2.128/25":  {"country_code": mmdbtype.Uint16(7)},
		"2001:db8::/32":   {"country": mmdbtype.Map{"iso_code": mmdbtype.String("DE")}},
	}
}

func open(t testing.TB, o enrich.Options) *enrich.Enricher {
	t.Helper()
	e, err := enrich.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCountry(t *testing.T) {
	e := open(t, enrich.Options{CountryDB: database(t, records())})
	for ip, want := range map[string]string{
		"198.51.100.7":        "IN India",
		"::ffff:198.51.100.7": "IN India",
		"203.0.113.255":       "US United States",
		"192.0.2.1":           "XK Kosovo",
		"2001:db8::1":         "DE Germany",
		"192.0.2.200":         "", // a record of another type
		"10.0.0.1":            "",
		"AWS Internal":        "",
		"ec2.amazonaws.com":   "",
		"":                    "",
		"198.51.100.7/24":     "",
		"fe80::1%eth0":        "",
	} {
		for range 2 { // the second answer is remembered
			code, name, ok := e.Country(ip)
			if got := strings.TrimSpace(code + " " + name); got != want || ok != (want != "") {
				t.Errorf("Country(%q) = %q, %t, want %q", ip, got, ok, want)
			}
		}
	}
	if _, _, ok := open(t, enrich.Options{}).Country("198.51.100.7"); ok {
		t.Error("a country without a data base")
	}
}

func TestAccounts(t *testing.T) {
	for name, file := range map[string]string{
		"csv":      "\xef\xbb\xbf# accounts\nAccount ID, Name ,OU\n111122223333,prod,Root/Prod\n\"000000000042\",\"a, b\",\n111122223333,prod,Root/Prod\n",
		"export":   `{"Accounts": [{"Id": "111122223333", "Arn": "x", "Name": "prod", "Status": "ACTIVE", "OU": "Root/Prod"}, {"Id": "000000000042", "Name": "a, b"}], "NextToken": null}`,
		"pretty":   "{\n \"NextToken\": null,\n \"Accounts\": [\n {\"Id\": \"111122223333\", \"Name\": \"prod\", \"Path\": \"Root/Prod\"},\n {\"Id\": \"000000000042\", \"Name\": \"a, b\"}\n ]\n}",
		"its list": `[{"Id": "111122223333", "Name": "prod", "OU": "Root/Prod"}, {"Id": "000000000042", "Name": "a, b"}]`,
	} {
		e := open(t, enrich.Options{Accounts: write(t, "accounts", file)})
		if got, ok := e.Account("111122223333"); !ok || got != (enrich.Account{ID: "111122223333", Name: "prod", OU: "Root/Prod"}) {
			t.Errorf("%s: %+v", name, got)
		}
		if got, ok := e.AccountName("000000000042"); !ok || got != "a, b" {
			t.Errorf("%s: %q", name, got)
		}
		if _, ok := e.AccountName("999999999999"); ok {
			t.Errorf("%s: a name for an unknown account", name)
		}
	}
}

const ipRanges = `{
  "syncToken": "1", "createDate": "2026-01-01-00-00-00",
  "prefixes": [
    {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
    {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "EC2", "network_border_group": "eu-west-1"},
    {"ip_prefix": "198.51.0.0/16", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"}
  ],
  "ipv6_prefixes": [
    {"ipv6_prefix": "2001:db8::/32", "region": "us-east-1", "service": "S3", "network_border_group": "us-east-1"}
  ]
}`

func TestAWSRanges(t *testing.T) {
	e := open(t, enrich.Options{AWSIPRanges: write(t, "ip-ranges.json", ipRanges)})
	for _, tt := range []struct {
		list, ip string
		want     bool
	}{
		{"aws_ip_ranges", "198.51.1.1", true},
		{"aws_ip_ranges", "203.0.113.1", false},
		{"aws_ip_ranges/ec2", "198.51.100.1", true},
		{"aws_ip_ranges/EC2", "198.51.100.1", true},
		{"aws_ip_ranges/ec2", "198.51.1.1", false},
		{"aws_ip_ranges/s3", "2001:db8::5", true},
		{"aws_ip_ranges/nothing", "198.51.1.1", false},
		{"aws_ip_ranges", "ec2.amazonaws.com", false},
	} {
		if got := e.InList(tt.list, tt.ip); got != tt.want {
			t.Errorf("InList(%q, %q) = %t", tt.list, tt.ip, got)
		}
	}
	for ip, want := range map[string]string{"198.51.100.9": "EC2 eu-west-1", "198.51.9.9": "AMAZON us-east-1", "2001:db8::1": "S3 us-east-1", "10.0.0.1": " "} {
		if service, region, _ := e.AWSRange(ip); service+" "+region != want {
			t.Errorf("AWSRange(%s) = %s %s", ip, service, region)
		}
	}
}

func TestLists(t *testing.T) {
	e := open(t, enrich.Options{Lists: map[string]string{"a": write(t, "a.txt", "# robots\n\narn:aws:iam::111122223333:user/ci  # builds\n arn:aws:iam::*:user/robot-*\r\n198.51.100.0/24\n2001:DB8::1\n10.0.0.1\nC#\nliteral\\*star\nhttp://x/24\n"), "empty": write(t, "e.txt", "")}})
	for value, want := range map[string]bool{
		"arn:aws:iam::111122223333:user/ci":    true,
		"arn:aws:iam::111122223333:user/CI":    false,
		"arn:aws:iam::5:user/robot-7":          true,
		"arn:aws:iam::5:user/other":            false,
		"198.51.100.200":                       true,
		"::ffff:198.51.100.200":                true,
		"198.51.101.1":                         false,
		"2001:db8:0:0::1":                      true,
		"10.0.0.1":                             true,
		"10.0.0.2":                             false,
		"C#":                                   true,
		"literal*star":                         true,
		"literal--star":                        false,
		"http://x/24":                          true,
		"":                                     false,
		"# robots":                             false,
		strings.Repeat("x", 4096) + ":robot-1": false,
		"arn:aws:iam::" + strings.Repeat("1", 999) + ":user/robot-": true,
	} {
		for range 2 {
			if got := e.InList("a", value); got != want {
				t.Errorf("InList(%.60q) = %t", value, got)
			}
		}
	}
	if e.InList("empty", "") || e.InList("none", "x") {
		t.Error("something is on nothing")
	}
}

func TestHasSource(t *testing.T) {
	all := open(t, enrich.Options{
		CountryDB: database(t, records()), Accounts: write(t, "a.csv", "id,name\n111122223333,x\n"),
		AWSIPRanges: write(t, "r.json", ipRanges), Lists: map[string]string{"robots": write(t, "l", "x")},
	})
	none := open(t, enrich.Options{})
	for _, s := range []matcher.EnrichmentSource{matcher.SourceCountry, matcher.SourceAccounts, matcher.SourceList("robots"), matcher.SourceList("aws_ip_ranges"), matcher.SourceList("aws_ip_ranges/ec2")} {
		if !all.HasSource(s) || none.HasSource(s) {
			t.Errorf("%s", s)
		}
	}
	if all.HasSource(matcher.SourceList("other")) || all.HasSource("nonsense") {
		t.Error("a source that is not there")
	}
}

// All problems of all files are told at once, with file and line.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, err := enrich.Open(enrich.Options{
		CountryDB:   file("no.mmdb", "not a data base"),
		Accounts:    file("a.csv", "id,name\n42,short\n111122223333,\n111122223333,one\n111122223333,two\nonly\n"),
		AWSIPRanges: file("r.json", "{\n\"prefixes\": [\n{\"ip_prefix\": \"1.2.3.4.5/8\"}\n]}"),
		Lists:       map[string]string{"a": file("a.txt", "ok\n10.0.0.0/64\n\xff\n"), "b": filepath.Join(dir, "missing")},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"no.mmdb: reading the country data base", "a.csv:2: \"42\" is no account", "a.csv:3: account 111122223333 has no name",
		`a.csv:5: account 111122223333 is called "two", and "one" in line 4`, "a.csv:6: wrong number of fields", "r.json:3: \"1.2.3.4.5/8\" is no range",
		"a.txt:2: \"10.0.0.0/64\" looks like a range", "a.txt:3: not UTF-8", "missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q:\n%v", want, err)
		}
	}
	for name, o := range map[string]enrich.Options{
		"expected a header":            {Accounts: file("h.csv", "a,b\n1,2\n")},
		"there are no accounts":        {Accounts: file("e.csv", "id,name\n")},
		"accounts.json:3":              {Accounts: file("accounts.json", "{\"Accounts\": [\n{\"Id\": \"111122223333\", \"Name\": \"x\"},\n{\"Id\": }]}")},
		`expected the key "Accounts"`:  {Accounts: file("o.json", "{\"Other\": {}}")},
		"ranges.json:2":                {AWSIPRanges: file("ranges.json", "{\n\"prefixes\": 5}")},
		"there are no prefixes":        {AWSIPRanges: file("n.json", "{}")},
		"this is no country data base": {CountryDB: database(t, map[string]mmdbtype.Map{"10.0.0.0/8": {"asn": mmdbtype.Uint32(5)}})},
		"is a directory":               {CountryDB: dir},
		"no name for a list":           {Lists: map[string]string{"a b": "x"}},
		"Amazon's own":                 {Lists: map[string]string{"aws_ip_ranges": "x"}},
		"name a file":                  {Lists: map[string]string{"x": ""}},
	} {
		if _, err := enrich.Open(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q: %v", name, err)
		}
	}
}

func TestPaths(t *testing.T) {
	o := enrich.Options{CountryDB: "c.mmdb", Accounts: "/a.csv", Lists: map[string]string{"l": "l.txt", "m": "l.txt"}}
	if o.Empty() || !(&enrich.Options{}).Empty() {
		t.Error("Empty")
	}
	o.Relative("/etc/x")
	if got := fmt.Sprint(o.Files()); got != "[/a.csv /etc/x/c.mmdb /etc/x/l.txt]" {
		t.Error(got)
	}
}

// Rules of the native language ask, and rules that lack a source are refused.
func TestRulesAsk(t *testing.T) {
	e := open(t, enrich.Options{CountryDB: database(t, records()), AWSIPRanges: write(t, "r.json", ipRanges)})
	rule := func(condition string) *matcher.Rule {
		n, _, err := native.ParseMatch("r.yaml", []byte(condition))
		if err != nil {
			t.Fatal(err)
		}
		return &matcher.Rule{ID: "r", Enabled: true, Cond: n}
	}
	rs, err := matcher.Compile([]*matcher.Rule{rule(`{eventName: ConsoleLogin, sourceIPAddress: {country: [IN, US], not: {list: aws_ip_ranges/s3}}}`)}, matcher.Options{Enrich: e})
	if err != nil {
		t.Fatal(err)
	}
	m := rs.NewMatcher()
	for ip, want := range map[string]int{"198.51.100.1": 1, "203.0.113.9": 1, "2001:db8::1": 0, "AWS Internal": 0} {
		var ev cloudtrail.Event
		ev.Reset([]byte(`{"eventName":"ConsoleLogin","sourceIPAddress":"` + ip + `"}`))
		hits, _, err := m.Match(nil, &ev)
		if err != nil || len(hits) != want {
			t.Errorf("%s: %d hits, %v", ip, len(hits), err)
		}
	}
	if _, err := matcher.Compile([]*matcher.Rule{rule(`{sourceIPAddress: {list: robots}}`)}, matcher.Options{Enrich: e}); err == nil || !strings.Contains(err.Error(), "enrich.lists") {
		t.Errorf("a list that is not there: %v", err)
	}
}

func TestConcurrent(t *testing.T) {
	e := open(t, enrich.Options{CountryDB: database(t, records()), Lists: map[string]string{"l": write(t, "l", "*7*\n")}})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20000 {
				ip := fmt.Sprintf("198.51.%d.%d", 99+i%3, i/3%256)
				if _, _, ok := e.Country(ip); ok != (i%3 == 1) {
					t.Errorf("Country(%s) = %t", ip, ok)
				}
				if e.InList("l", ip) != strings.Contains(ip, "7") {
					t.Errorf("InList(%s)", ip)
				}
			}
		})
	}
	wg.Wait()
}

// A remembered answer costs no allocation.
func TestRememberedAllocatesNothing(t *testing.T) {
	e := open(t, enrich.Options{CountryDB: database(t, records())})
	e.Country("198.51.100.7")
	if n := testing.AllocsPerRun(100, func() { e.Country("198.51.100.7") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzFiles(f *testing.F) {
	for _, seed := range []string{"id,name\n111122223333,x\n", `{"Accounts":[{"Id":"111122223333","Name":"x"}]}`, ipRanges, "10.0.0.0/8\n*x*\n#c\n", "\"", "[", "{\"a\":", "a/1\n"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, o := range []enrich.Options{{Accounts: path}, {AWSIPRanges: path}, {Lists: map[string]string{"l": path}}, {CountryDB: path}} {
			e, err := enrich.Open(o)
			if err != nil {
				if !strings.Contains(err.Error(), path) {
					t.Errorf("an error without its file: %v", err)
				}
				continue
			}
			e.InList("l", text)
			e.Country("1.2.3.4")
		}
	})
}
