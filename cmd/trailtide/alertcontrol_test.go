package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/control"
	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/sqlite"
	"github.com/trailtide/trailtide/sinks"
)

const (
	counted = "a5000000000000000000000000000001"
	lone    = "b6000000000000000000000000000002"
)

// savedAlerts makes a configuration and its state file with two alerts.
func savedAlerts(t *testing.T) (config, state string) {
	t.Helper()
	dir := t.TempDir()
	config, state = filepath.Join(dir, "trailtide.yaml"), filepath.Join(dir, "trailtide.db")
	if err := os.WriteFile(config, []byte("source: {files: {paths: [x]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := sqlite.Open(t.Context(), state, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Restore(t.Context(), 0, func(engine.Table, []byte, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	txn, err := e.Begin(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	user, now := "joe", time.Now().UTC()
	txn.Alert(&sinks.Alert{
		AlertID: counted, RuleID: "brute-force", Severity: "high", Status: sinks.Firing, Count: 20, Time: now, DetectedAt: now,
		Group: map[string]*string{"user": &user},
	}, true, true)
	txn.Alert(&sinks.Alert{
		AlertID: lone, RuleID: "root-login", Severity: "critical", Status: sinks.Firing, Count: 1, Time: now, DetectedAt: now,
		Account: "111122223333", User: "root", EventName: "ConsoleLogin", EventSource: "signin.amazonaws.com",
	}, true, true)
	if err := txn.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return config, state
}

// TestAlertsPage runs every command that docs/alerts.md shows, in its order.
func TestAlertsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	config, _ := savedAlerts(t)
	t.Chdir(filepath.Dir(config))
	ran := map[string]string{}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			args := strings.Fields(line)
			code, out, errs := command(t, args[1:]...)
			if code != exitOK {
				t.Errorf("%sexit code %d: %s%s", line, code, out, errs)
			}
			ran[args[2]] = out
		}
	}
	for name, want := range map[string]string{
		"list": "brute-force", "show": counted, "export": lone, "ack": "acked " + counted, "close": "closed " + counted,
		"ignore":   "ignored: root-login account=111122223333 user=root event_source=signin.amazonaws.com event_name=ConsoleLogin until ",
		"ignored":  "by jane: pentest",
		"unignore": "told again: root-login account=111122223333",
	} {
		if !strings.Contains(ran[name], want) {
			t.Errorf("alerts %s prints %q, want %q", name, ran[name], want)
		}
	}
}

func TestAlertMarks(t *testing.T) {
	config, state := savedAlerts(t)
	must := func(args ...string) string {
		t.Helper()
		code, out, errs := command(t, append([]string{"alerts"}, args...)...)
		if code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, errs)
		}
		return out
	}
	must("ack", counted, "--state", state, "--by", "jane", "--reason", "looking")
	must("ignore", lone, "-c", config, "--by", "bob", "--until", "2h")
	if out := must("list", "-c", config); !strings.Contains(out, "firing acked") || !strings.Contains(out, "firing ignored") {
		t.Errorf("list:\n%s", out)
	}
	if out := must("list", "-c", config, "-o", "ndjson", "--rule", "brute-force"); !strings.Contains(out, `"acked_by":"jane","acked_at":"`) || !strings.Contains(out, `"status":"firing"`) {
		t.Errorf("list as NDJSON: %s", out)
	}
	if out := must("show", lone, "-c", config, "-o", "json"); !strings.Contains(out, `"ignored_by":"bob"`) || !strings.Contains(out, `"ignored_until":"`) {
		t.Errorf("show as JSON: %s", out)
	}
	if out := must("show", counted, "-c", config); !strings.HasPrefix(out, "acked ") || !strings.Contains(out, "by jane: looking") {
		t.Errorf("show: %s", out)
	}
	scope := strings.Fields(must("ignored", "-c", config))[0]
	must("unignore", scope, "-c", config)
	if out := must("ignored", "-c", config); out != "" {
		t.Errorf("still ignored: %s", out)
	}
	for _, bad := range [][]string{
		{"ack", "c7", "-c", config},
		{"ack", counted},
		{"ignore", lone, "-c", config, "--until", "2020-01-01"},
		{"ignore", lone, "-c", config, "--until", "soon"},
		{"unignore", lone, "-c", config},
		{"close", counted, "-c", config, "--reason", strings.Repeat("x", 5000)},
	} {
		if code, out, errs := command(t, append([]string{"alerts"}, bad...)...); code != exitUsage {
			t.Errorf("%v: exit code %d: %s%s", bad[:2], code, out, errs)
		}
	}
}

func TestUntil(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"12h": now.Add(12 * time.Hour), "7d": now.Add(7 * 24 * time.Hour), "2026-05-05": now.Add(12 * time.Hour),
		"2026-05-04T13:00:00+00:30": now.Add(30 * time.Minute),
	} {
		if got, err := parseUntil(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", "-1h", "0s", "2026-05-04"} {
		if got, err := parseUntil(s, now); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestControlsOfAFleet: without the store's file an alert is found in its topic.
func TestControlsOfAFleet(t *testing.T) {
	_, addrs := brokers(t)
	config := filepath.Join(t.TempDir(), "trailtide.yaml")
	if err := os.WriteFile(config, []byte("engine: kafka\nkafka: {brokers: ["+addrs+"], metadata_min_age: 50ms}\nsource: {files: {paths: [x]}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := command(t, "topics", "create", "-c", config); code != exitOK {
		t.Fatalf("%s%s", out, errs)
	}
	c, err := LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	produceAlert(t, c, &sinks.Alert{AlertID: counted, RuleID: "r", Status: sinks.Firing, Count: 1, User: "joe"})
	for _, args := range [][]string{{"ack", counted}, {"ignore", "a5"}} {
		if code, out, errs := command(t, append(append([]string{"alerts"}, args...), "-c", config)...); code != exitOK {
			t.Errorf("%v: %s%s", args, out, errs)
		}
	}
	if code, _, errs := command(t, "alerts", "close", "ffff", "-c", config); code != exitUsage || !strings.Contains(errs, "no such alert") {
		t.Errorf("an unknown alert: %d %s", code, errs)
	}
	if code, out, errs := command(t, "alerts", "ignored", "-c", config); code != exitOK || !strings.Contains(out, "r user=joe") {
		t.Errorf("ignored: %d %s%s", code, out, errs)
	}
	d, err := (&stateFlag{config: config}).desk()
	if err != nil {
		t.Fatal(err)
	}
	book, err := d.book(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if why, muted := book.Muted(&sinks.Alert{AlertID: counted, Status: sinks.Update}); !muted || why != control.Acked {
		t.Errorf("an update of the acked alert: %s, %t", why, muted)
	}
}

func produceAlert(t *testing.T, c *Config, a *sinks.Alert) {
	t.Helper()
	opts, err := c.Kafka.Client.KgoOpts()
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	r := &kgo.Record{Topic: c.topics().Alerts(), Key: []byte(a.AlertID), Value: a.AppendJSON(nil)}
	if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
