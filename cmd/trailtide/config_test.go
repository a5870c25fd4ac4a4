package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

func env(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func example(t *testing.T) []byte {
	t.Helper()
	src, err := os.ReadFile("../../docs/examples/trailtide.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestExampleIsValid(t *testing.T) {
	c, err := parseConfig("/etc/trailtide/trailtide.yaml", example(t), env(map[string]string{
		"TRAILTIDE_KAFKA_PASSWORD": "p", "TRAILTIDE_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Source.Kafka.Client.SASL.Password.Reveal(); got != "p" {
		t.Errorf("password %q is not the environment's", got)
	}
	if c.SQLite.Path != "/etc/trailtide/trailtide.db" || c.Rules.Paths[0] != "/etc/trailtide/rules" {
		t.Errorf("paths %q and %q are not relative to the file", c.SQLite.Path, c.Rules.Paths[0])
	}
}

// TestExampleNamesEveryKey keeps the commented file complete.
func TestExampleNamesEveryKey(t *testing.T) {
	src := string(example(t))
	seen := make(map[reflect.Type]bool)
	var walk func(ty reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || seen[ty] {
			return
		}
		seen[ty] = true
		for i := range ty.NumField() {
			f := ty.Field(i)
			tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if tag == "-" || !f.IsExported() {
				continue
			}
			if options != "inline" && !regexp.MustCompile(`(?m)\b`+tag+`:`).MatchString(src) {
				t.Errorf("%s.%s: the example does not name %q", ty, f.Name, tag)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestConfigProblemsComeAtOnce(t *testing.T) {
	src := `
sourc: {}
engine: postgres
validate: sometimes
commit_interval: 5m
source:
  kafka: {brokers: ["http://x"], topics: [a], topic_regex: b, start: yesterday}
sinks:
  - {name: a, stdout: {}}
  - {name: a, stdout: {format: xml}, min_severity: huge}
  - {name: b}
admin: {listen: "0.0.0.0:1"}
pprof: {listen: "0.0.0.0:2"}
log: {level: "${env:MISSING}"}
`
	_, err := parseConfig("c.yaml", []byte(src), env(nil))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"line 2: field sourc not found", "MISSING is not set", `engine: "postgres"`, `validate: "sometimes"`, "commit_interval: at most 1m",
		"source.kafka: brokers", "source.kafka: topics and topic_regex", "source.kafka: start", `sinks[1].name: "a" is used twice`, "sinks[1]: stdout: format",
		"sinks[1]: min_severity", "sinks[2]: set exactly one", "admin.listen", "pprof.listen",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(filepath.Join(dir, "c.yaml"), []byte("source: {files: {paths: [x]}}\nadmin: {listen: '0.0.0.0:1', token: '${file:token}'}\n"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.Admin.Token.Reveal() != "s3cret" {
		t.Errorf("token %q", c.Admin.Token.Reveal())
	}
	if _, err := parseConfig(filepath.Join(dir, "c.yaml"), []byte("admin: {token: '${file:nowhere}'}"), env(nil)); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a missing secret file: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	c, err := parseConfig("c.yaml", []byte("source: {files: {paths: [x]}}"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.CommitInterval != 200*time.Millisecond || c.Admin.Listen != defaultAdmin || !*c.Rules.Builtin || !*c.Rules.Watch {
		t.Errorf("defaults %+v", c)
	}
	if _, err := parseConfig("c.yaml", nil, env(nil)); err == nil || !strings.Contains(err.Error(), "source") {
		t.Errorf("an empty file: %v", err)
	}
}

// TestDocumentedConfigurations runs every example of the page and of the README.
func TestDocumentedConfigurations(t *testing.T) {
	src, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(src), -1)
	if len(blocks) < 3 {
		t.Fatalf("only %d examples", len(blocks))
	}
	secrets := env(map[string]string{"KAFKA_PASSWORD": "p", "WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef"})
	for _, b := range blocks {
		if _, err := parseConfig("c.yaml", []byte(b[1]), secrets); err != nil {
			t.Errorf("%v\n%s", err, b[1])
		}
	}
	enrichment, err := os.ReadFile("../../docs/enrichment.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(enrich:.*?)```").FindSubmatch(enrichment)
	if block == nil {
		t.Fatal("the page on enrichment shows no configuration")
	}
	c, err := parseConfig("c.yaml", append(block[1], "source: {files: {paths: [x]}}\n"...), secrets)
	if err != nil || c.Enrich.Lists["robots"] != "/etc/trailtide/robots.txt" {
		t.Errorf("the page on enrichment: %v", err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile("(?s)```yaml\n(rules:.*?)```").FindSubmatch(readme)
	if rule == nil {
		t.Fatal("the README shows no rule")
	}
	path := filepath.Join(t.TempDir(), "rule.yaml")
	if err := os.WriteFile(path, rule[1], 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"rules", "test", "--no-builtin", path}, stdio{nil, &out, &errs}); code != exitOK {
		t.Errorf("the README's rule: %s%s", out.String(), errs.String())
	}
}
