package e2e

import (
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/test/harness"
)

// desk is a directory with rules and events to try commands on. Commands run
// in it, so that what they print holds no paths of this machine.
type desk struct{ dir string }

func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{t.TempDir()}
	harness.Write(t, d.dir, "rules.yaml", `rules:
  - {id: login, title: A login, severity: high, match: {eventName: ConsoleLogin}, suppress: [{when: {awsRegion: eu-west-1}, reason: home}]}
  - {id: unsaved, title: Not kept, severity: low, save: false, match: {eventName: ListUsers}}
  - {id: burst, title: A burst, severity: critical, match: {eventName: GetObject}, threshold: {count: 2, window: 1m, group_by: [userIdentity.arn]}}
`)
	harness.Write(t, d.dir, "events.ndjson", `{"eventName":"ConsoleLogin","eventID":"a","eventTime":"2026-01-05T08:00:00Z","awsRegion":"us-east-1","recipientAccountId":"111122223333","sourceIPAddress":"192.0.2.1","eventSource":"signin.amazonaws.com","userIdentity":{"arn":"arn:aws:iam::111122223333:user/eve"},"additionalEventData":{"n":9007199254740993}}
{"eventName":"ConsoleLogin","eventID":"b","eventTime":"2026-01-05T08:00:01Z","awsRegion":"eu-west-1"}
{"eventName":"ListUsers","eventID":"c","eventTime":"2026-01-05T08:00:02Z","awsRegion":"eu-west-1"}
{"eventName":"GetObject","eventID":"d","eventTime":"2026-01-05T08:00:03Z","userIdentity":{"arn":"x"}}
{"eventName":"GetObject","eventID":"e","eventTime":"2026-01-05T08:02:03Z","userIdentity":{"arn":"x"}}
{"eventName":"GetObject","eventID":"f","eventTime":"2026-01-05T08:03:03Z","userIdentity":{"arn":"x"}}
{"eventName":"GetObject","eventID":"f","eventTime":"2026-01-05T08:03:03Z","userIdentity":{"arn":"x"}}
{"eventName":"Other"}
`)
	return d
}

// run splits line at spaces.
func (d desk) run(t *testing.T, line string) result {
	t.Helper()
	return command{args: strings.Fields(line), dir: d.dir}.run(t)
}

func TestExitCodes(t *testing.T) {
	d := newDesk(t)
	harness.Write(t, d.dir, "junk.db", "no database\n")
	harness.Write(t, d.dir, "bad.yaml", "rules:\n  - {id: x, title: T, severity: hgh, match: {eventName: {regx: a}}}\n")
	harness.Write(t, d.dir, "red.yaml", "rules:\n  - {id: x, title: T, severity: low, match: {eventName: A}, tests: [{name: n, event: {eventName: B}, match: true}]}\n")
	harness.Write(t, d.dir, "quiet.ndjson", `{"eventName":"ConsoleLogin","eventID":"b","awsRegion":"eu-west-1"}`+"\n")
	const scan = "scan -q --no-builtin -r rules.yaml events.ndjson"
	for _, c := range []struct {
		line string
		code int
		says string // on standard error
	}{
		{"--help", 0, ""},
		{"version", 0, ""},
		{scan, 0, ""},
		{scan + " --fail-on info", 1, ""},
		{scan + " --fail-on critical", 1, ""},
		{"scan -q --no-builtin -r rules.yaml --disable burst --fail-on critical events.ndjson", 0, ""},
		{"scan -q --no-builtin -r rules.yaml --fail-on info quiet.ndjson", 0, ""}, // suppressed
		{scan + " --state s.db --fail-on high", 1, ""},
		{scan + " --state s.db --fail-on low", 1, ""}, // told again from the state
		{"rules test --no-builtin red.yaml", 1, ""},
		{"rules test", 0, ""},
		{"rules check", 0, ""},
		{"scan", 2, "at least 1 arg"},
		{"scan --bogus x", 2, "--bogus"},
		{"bogus", 2, "bogus"},
		{scan + " -o xml", 2, "table, json, ndjson, csv"},
		{scan + " --columns bogus", 2, "bogus"},
		{scan + " --fail-on bogus", 2, "--fail-on"},
		{scan + " --validate some", 2, "--validate"},
		{scan + " --lateness -1s", 2, "--lateness"},
		{scan + " --disable nosuch", 2, "nosuch"},
		{scan + " --dead-letter events.ndjson", 2, "among the input"}, // it would be emptied
		{"scan --no-builtin -r rules.yaml . --dead-letter dead.ndjson", 2, "among the input"},
		{"scan --state x.db -", 2, "standard input"},
		{"scan -r nosuch.yaml events.ndjson", 2, "nosuch.yaml"},
		{"scan --no-builtin events.ndjson", 2, "no rules"},
		{"scan -r bad.yaml events.ndjson", 2, "bad.yaml:2:"},
		{"rules check --no-builtin bad.yaml", 2, `did you mean "high"?`},
		{"rules check --no-builtin bad.yaml", 2, `did you mean "regex"?`},
		{"rules show nosuch", 2, "nosuch"},
		{"rules explain nosuch events.ndjson", 2, "nosuch"},
		{"alerts list", 2, "--state"},
		{"alerts list --state s.db --severity foo", 2, "foo"},
		{"alerts list --state s.db --since yesterday", 2, "--since"},
		{"alerts show --state s.db zzz", 2, "zzz"},
		{"scan nosuch", 3, "nosuch"},
		{"scan no*such", 3, "no*such"},
		{scan + " --state no/such/dir/x.db", 3, "no such file"},
		{scan + " --dead-letter no/such/dir/x", 3, "no/such/dir"},
		{"alerts list --state nosuch.db", 3, "nosuch.db"},
		{"alerts list --state junk.db", 3, "junk.db"},
		{scan + " --state junk.db", 3, "junk.db"},
	} {
		t.Run(c.line, func(t *testing.T) {
			r := d.run(t, c.line)
			if r.code != c.code || !strings.Contains(r.err, c.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", r.code, c.code, c.says, r.err)
			}
			if c.code >= 2 && r.out != "" {
				t.Errorf("a command that failed printed\n%s", r.out)
			}
		})
	}
}

func TestOutputForms(t *testing.T) {
	d := newDesk(t)
	const scan = "scan -q --no-builtin -r rules.yaml events.ndjson "
	wantCSV := "rule,status,count,group,event_id,position\n" +
		"login,firing,1,,a,events.ndjson:1\nlogin,suppressed,1,,b,events.ndjson:2\nunsaved,firing,1,,c,events.ndjson:3\n" +
		"burst,firing,2,userIdentity.arn=x,f,events.ndjson:6\n"
	columns := "--columns rule,status,count,group,event_id,position "
	for _, state := range []string{"", "--state s.db"} { // what a state holds is told as without one
		if diff := cmp.Diff(wantCSV, d.run(t, scan+"-o csv "+columns+state).out); diff != "" {
			t.Errorf("csv %s (-want +got):\n%s", state, diff)
		}
	}
	if out := d.run(t, scan+"-o table "+columns).out; strings.ContainsRune(out, '\x1b') || strings.Count(out, "\n") != 5 {
		t.Errorf("a table that is no terminal's:\n%s", out)
	}
	var list []harness.Alert
	if err := json.Unmarshal([]byte(d.run(t, scan+"-o json").out), &list); err != nil || len(list) != 4 {
		t.Errorf("json: %d alerts, %v", len(list), err)
	}
	if err := json.Unmarshal([]byte(d.run(t, scan+"-o json --disable *").out), &list); err != nil || len(list) != 0 {
		t.Errorf("json of nothing: %d alerts, %v", len(list), err)
	}
	if out := d.run(t, scan+"-o csv --min-severity high --columns rule").out; out != "rule\nlogin\nlogin\nburst\n" {
		t.Errorf("--min-severity:\n%s", out)
	}
	if rows, err := csv.NewReader(strings.NewReader(d.run(t, scan+"-o csv").out)).ReadAll(); err != nil || len(rows) != 5 {
		t.Errorf("csv with the usual columns: %d rows, %v", len(rows), err)
	}
}

// The contract with machines: every name is there, and the raw event is.
func TestNDJSONContract(t *testing.T) {
	d := newDesk(t)
	r := d.run(t, "scan --no-builtin -r rules.yaml -o ndjson events.ndjson")
	if sum := summary(t, r.err); sum["events_read"] != 8 || sum["events_matched"] != 6 || sum["events_duplicate"] != 1 || sum["events_unmatched"] != 1 || sum["matches_suppressed"] != 1 {
		t.Errorf("the summary:\n%s", r.err)
	}
	harness.EachLine(t, r.out, func(line []byte) {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{
			"alert_id", "rule_id", "title", "severity", "status", "time", "first_time", "last_time", "count", "group", "account", "region",
			"user", "source_ip", "event_name", "event_source", "event_id", "event_ids", "position", "event",
		} {
			if _, ok := m[k]; !ok {
				t.Errorf("an alert lacks %q: %.200s", k, line)
			}
		}
	})
	all := harness.Alerts(t, r.out)
	a := all[0]
	if *a.Account != "111122223333" || *a.Region != "us-east-1" || *a.SourceIP != "192.0.2.1" || *a.User != "arn:aws:iam::111122223333:user/eve" ||
		*a.EventSource != "signin.amazonaws.com" || a.Position != "events.ndjson:1" || !strings.Contains(string(a.Event), "9007199254740993") {
		t.Errorf("the first alert: %+v", a)
	}
	burst := all[len(all)-1]
	if burst.Count != 2 || *burst.Group["userIdentity.arn"] != "x" || cmp.Diff(burst.EventIDs, []string{"e", "f"}) != "" ||
		burst.FirstTime.Format("15:04:05") != "08:02:03" || burst.LastTime.Format("15:04:05") != "08:03:03" {
		t.Errorf("the burst: %+v", burst)
	}
}

func TestAlertsListFilters(t *testing.T) {
	d := newDesk(t)
	d.run(t, "scan -q --no-builtin -r rules.yaml --state s.db events.ndjson")
	for filter, want := range map[string]string{
		"":                              "burst unsaved login login",
		"--sort oldest":                 "login login unsaved burst",
		"--limit 1":                     "burst",
		"--rule log*":                   "login login",
		"--rule burst,unsaved":          "burst unsaved",
		"--severity critical":           "burst",
		"--min-severity high":           "burst login login",
		"--status suppressed":           "login",
		"--status open":                 "burst unsaved login",
		"--account 111122223333":        "login",
		"--region eu-west-1":            "unsaved login",
		"--user *user/eve":              "login",
		"--user x":                      "burst",
		"--event ListUsers":             "unsaved",
		"--service signin*":             "login",
		"--search 192.0.2.1":            "login",
		"--since 2026-01-05T08:00:02Z":  "burst unsaved",
		"--until 2026-01-05T08:00:01Z":  "login",
		"--since 2026-01-06":            "",
		"--rule login --region us-west": "",
	} {
		r := d.run(t, "alerts list --state s.db -o csv --columns rule "+filter)
		got := strings.Fields(strings.TrimPrefix(r.out, "rule"))
		if r.code != 0 || strings.Join(got, " ") != want {
			t.Errorf("%s: exit code %d, %q, want %q\n%s", filter, r.code, got, want, r.err)
		}
	}
	if r := d.run(t, "alerts list --state s.db --count-by rule_id"); strings.Join(strings.Fields(r.out), " ") != "2 login 1 burst 1 unsaved" {
		t.Errorf("--count-by: %q", r.out)
	}
	id := harness.Alerts(t, d.run(t, "alerts export --state s.db --rule burst").out)[0].AlertID
	if r := d.run(t, "alerts show --state s.db "+id[:12]); r.code != 0 || !strings.Contains(r.out, id) {
		t.Errorf("show by the beginning of an ID: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestRulesCommands(t *testing.T) {
	d := newDesk(t)
	if diff := cmp.Diff(`ID       SEVERITY  STATE  ORIGIN  TITLE
burst    critical  on     custom  A burst
login    high      on     custom  A login
unsaved  low       on     custom  Not kept
`, d.run(t, "rules list --no-builtin -r rules.yaml").out); diff != "" {
		t.Errorf("rules list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(`events.ndjson:1: matches login
  yes eventName: ConsoleLogin   saw "ConsoleLogin"
events.ndjson:2: matches login
  yes eventName: ConsoleLogin   saw "ConsoleLogin"
  suppressed: home (rules.yaml:2:94)
`, d.run(t, "rules explain --no-builtin -r rules.yaml login events.ndjson").out); diff != "" {
		t.Errorf("rules explain (-want +got):\n%s", diff)
	}
	if out := d.run(t, "rules explain --no-builtin -r rules.yaml --all login events.ndjson").out; !strings.Contains(out, "events.ndjson:3: does not match login\n  no  eventName: ConsoleLogin   saw \"ListUsers\"\n") {
		t.Errorf("rules explain --all:\n%s", out)
	}
	if out := d.run(t, "rules show --no-builtin -r rules.yaml login").out; !strings.Contains(out, "rules.yaml:2:") || !strings.Contains(out, "title: A login") {
		t.Errorf("rules show:\n%s", out)
	}
	harness.Write(t, d.dir, "many.yaml", `rules:
  - {id: x, title: T, severity: hgh, match: {eventName: {regex: "a("}, sourceIPAddress: {cidr: 10.0.0.0/99}}}
  - {id: y, title: T, severity: low, match: {eventName: A}, bogus: 1}
  - {id: y, title: T, severity: low, match: {recipientAccountId: 012345678901}}
`)
	r := d.run(t, "rules check --no-builtin many.yaml")
	for _, want := range []string{"many.yaml:2:33: ", "many.yaml:2:65: ", "many.yaml:2:96: ", "many.yaml:3:", "bogus", "many.yaml:4:"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("rules check does not say %q:\n%s", want, r.err)
		}
	}
	harness.Write(t, d.dir, "twice.yaml", "rules:\n  - {id: login, title: T, severity: low, match: {eventName: A}}\n")
	if r := d.run(t, "rules check --no-builtin -r rules.yaml twice.yaml"); r.code != 2 || !strings.Contains(r.err, "twice.yaml:2:") || !strings.Contains(r.err, "rules.yaml:2:") {
		t.Errorf("an ID of two files: exit code %d\n%s", r.code, r.err)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := d.run(t, "completion "+shell); r.code != 0 || !strings.Contains(r.out, "trailtide") {
			t.Errorf("completion %s: exit code %d", shell, r.code)
		}
	}
}

// The same events in every form that a scan reads give the same alerts.
func TestEveryEnvelopeAndPath(t *testing.T) {
	d := newDesk(t)
	var events [][]byte
	for i := 1; i <= 3; i++ {
		events = append(events, []byte(good(i)))
	}
	harness.Write(t, d.dir, "good.yaml", goodRules)
	subscription, err := traffic.Subscription(events, "1", "g", "s")
	if err != nil {
		t.Fatal(err)
	}
	s3, err := traffic.RecordsFile(events)
	if err != nil {
		t.Fatal(err)
	}
	lines := good(1) + "\n" + good(2) + "\n" + good(3) + "\n"
	var bridge string
	for _, ev := range events {
		bridge += string(traffic.EventBridge(ev)) + "\n"
	}
	harness.Write(t, d.dir, "logs.json.gz", string(subscription))
	harness.Write(t, d.dir, "bridge.jsonl", bridge)
	harness.Write(t, d.dir, "lines.jsonl.zst", string(zstded(t, []byte(lines))))
	harness.Write(t, d.dir, "array.json", "["+good(1)+","+good(2)+","+good(3)+"]")
	harness.Write(t, d.dir, "odd.txt", lines)
	const trail = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/01/05/111122223333_CloudTrail_us-east-1_20260105T0805Z_abc.json.gz"
	harness.Write(t, d.dir, "bucket/"+trail, string(s3))
	harness.Write(t, d.dir, "bucket/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/01/05/d.json.gz",
		string(gzipped(t, []byte(`{"awsAccountId":"1","digestStartTime":"2026-01-05T08:00:00Z","logFiles":[]}`))))
	harness.Write(t, d.dir, "bucket/notes.txt", "not for us\n")
	for i := 1; i <= 3; i++ {
		harness.Write(t, d.dir, "glob/part-"+string(rune('0'+i))+".json", good(i))
	}
	for paths, positions := range map[string]string{
		"logs.json.gz":    "logs.json.gz:1#0 logs.json.gz:1#1 logs.json.gz:1#2",
		"bridge.jsonl":    "bridge.jsonl:1 bridge.jsonl:2 bridge.jsonl:3",
		"lines.jsonl.zst": "lines.jsonl.zst:1 lines.jsonl.zst:2 lines.jsonl.zst:3",
		"array.json":      "array.json#0 array.json#1 array.json#2",
		"odd.txt":         "odd.txt:1 odd.txt:2 odd.txt:3",
		"bucket":          "bucket/" + trail + "#0 bucket/" + trail + "#1 bucket/" + trail + "#2",
		"glob/part-*":     "glob/part-1.json:1 glob/part-2.json:1 glob/part-3.json:1",
		"odd.txt odd.txt": "odd.txt:1 odd.txt:2 odd.txt:3",
		"-":               "-:1 -:2 -:3",
	} {
		t.Run(paths, func(t *testing.T) {
			args := append(strings.Fields("scan -q --no-builtin -r good.yaml -o ndjson"), strings.Fields(paths)...)
			r := command{args: args, dir: d.dir, stdin: strings.NewReader(lines)}.run(t)
			var ids, at []string
			for _, a := range harness.Alerts(t, r.out) {
				ids, at = append(ids, *a.EventID), append(at, a.Position)
			}
			if r.code != 0 || strings.Join(ids, " ") != "good-1 good-2 good-3" || strings.Join(at, " ") != positions {
				t.Errorf("exit code %d, %v at %v\n%s", r.code, ids, at, r.err)
			}
		})
	}
}

// A state file goes with its files: more of them and longer ones are read on,
// and one that was replaced is refused.
func TestStateAndItsFiles(t *testing.T) {
	dir := t.TempDir()
	rules := harness.Write(t, dir, "good.yaml", goodRules)
	state := filepath.Join(dir, "s.db")
	scan := func(path string) result {
		return trailtide(t, "scan", "--no-builtin", "--rules", rules, "--state", state, "-o", "ndjson", path)
	}
	one := harness.Write(t, dir, "one.ndjson", good(1)+"\n"+good(2)+"\n")
	two := harness.Write(t, dir, "two.ndjson", good(2)+"\n"+good(3)+"\n")
	for i, step := range []struct {
		path        string
		read, total int
	}{{one, 2, 2}, {two, 2, 3}, {one, 0, 3}} {
		r := scan(step.path)
		if n := len(harness.Alerts(t, r.out)); r.code != 0 || n != step.total || summary(t, r.err)["events_read"] != int64(step.read) {
			t.Errorf("step %d: exit code %d, %d alerts, want %d\n%s", i, r.code, n, step.total, r.err)
		}
	}
	harness.Write(t, dir, "one.ndjson", good(1)+"\n"+good(2)+"\n"+good(4)+"\n")
	if r := scan(one); r.code != 0 || summary(t, r.err)["events_read"] != 1 {
		t.Errorf("a file that has grown: exit code %d\n%s", r.code, r.err)
	}
	harness.Write(t, dir, "two.ndjson", good(5)+"\n"+good(6)+"\n"+good(7)+"\n")
	if r := scan(two); r.code != 3 || !strings.Contains(r.err, two) {
		t.Errorf("a file that was replaced: exit code %d\n%s", r.code, r.err)
	}
	if n := len(harness.Alerts(t, must(t, "alerts", "export", "--state", state).out)); n != 4 {
		t.Errorf("%d alerts in the end, want 4", n)
	}
}
