package lucene

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// The reference: values by a walk over encoding/json's maps, words by an
// expression for ASCII texts, nothing shared with the engine.

type test = func(event any) bool

// words splits an ASCII text: a sign is in a word when it is a letter, a digit or
// _, or stands between two letters or two digits and may join them.
func words(s string) []string {
	s = strings.ToLower(s)
	letter := func(i int) bool { return i >= 0 && i < len(s) && 'a' <= s[i] && s[i] <= 'z' }
	digit := func(i int) bool { return i >= 0 && i < len(s) && '0' <= s[i] && s[i] <= '9' }
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case letter(i), digit(i), c == '_',
			strings.IndexByte(".:'", c) >= 0 && letter(i-1) && letter(i+1),
			strings.IndexByte(".,;'", c) >= 0 && digit(i-1) && digit(i+1):
			b.WriteByte(c)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

func values(v any, path []string, out []any) []any {
	switch v := v.(type) {
	case []any:
		for _, el := range v {
			out = values(el, path, out)
		}
	case map[string]any:
		if len(path) > 0 {
			if member, ok := v[path[0]]; ok {
				return values(member, path[1:], out)
			}
			return out
		}
		for _, member := range v {
			out = values(member, nil, out)
		}
	case nil:
	default:
		if len(path) == 0 {
			out = append(out, v)
		}
	}
	return out
}

// scalars are values at the path itself, none below it.
func scalars(v any, path string) (out []string) {
	keys := strings.Split(path, ".")
	var walk func(v any, keys []string)
	walk = func(v any, keys []string) {
		switch v := v.(type) {
		case []any:
			for _, el := range v {
				walk(el, keys)
			}
		case map[string]any:
			if len(keys) > 0 {
				walk(v[keys[0]], keys[1:])
			}
		case string:
			if len(keys) == 0 {
				out = append(out, v)
			}
		}
	}
	walk(v, keys)
	return out
}

func some(path string, hold func(string) bool) test {
	return func(event any) bool {
		for _, s := range scalars(event, path) {
			if hold(s) {
				return true
			}
		}
		return false
	}
}

func phrase(path, want string) test {
	return some(path, func(s string) bool {
		return strings.Contains(" "+strings.Join(words(s), " ")+" ", " "+want+" ")
	})
}

func someWord(path, expr string) test {
	re := regexp.MustCompile("^(?:" + expr + ")$")
	return some(path, func(s string) bool {
		for _, w := range words(s) {
			if re.MatchString(w) {
				return true
			}
		}
		return false
	})
}

func whole(path, expr string) test {
	return some(path, regexp.MustCompile("^(?:"+expr+")$").MatchString)
}

func there(path string) test {
	return func(event any) bool { return len(values(event, strings.Split(path, "."), nil)) > 0 }
}

func both(a, b test) test   { return func(e any) bool { return a(e) && b(e) } }
func oneOf(a, b test) test  { return func(e any) bool { return a(e) || b(e) } }
func negated(a test) test   { return func(e any) bool { return !a(e) } }
func andNot(a, b test) test { return both(a, negated(b)) }

var corpusQueries = []struct {
	query string
	holds test
}{
	{`eventName:ConsoleLogin`, phrase("eventName", "consolelogin")},
	{`eventName.keyword:consolelogin`, whole("eventName", "consolelogin")},
	{`eventSource:"iam.amazonaws.com"`, phrase("eventSource", "iam.amazonaws.com")},
	{`eventSource:"s3.amazonaws.com"`, phrase("eventSource", "s3 amazonaws.com")},
	{`eventSource:s3.amazonaws.com`, someWord("eventSource", `s3|amazonaws\.com`)},
	{`eventName.keyword:/(Create|Delete|Attach|Put).*(Policy|User)/`, whole("eventName", "(Create|Delete|Attach|Put).*(Policy|User)")},
	{`eventName:/(Create|Delete).*/ AND NOT eventName:*user`, andNot(someWord("eventName", "(create|delete).*"), someWord("eventName", ".*user"))},
	{`eventName.keyword:/~(Describe.*|List.*|Get.*)/`, some("eventName", func(s string) bool {
		return !strings.HasPrefix(s, "Describe") && !strings.HasPrefix(s, "List") && !strings.HasPrefix(s, "Get")
	})},
	{`_exists_:errorCode`, there("errorCode")},
	{`_exists_:requestParameters NOT _exists_:responseElements`, andNot(there("requestParameters"), there("responseElements"))},
	{`NOT _exists_:userIdentity.sessionContext`, negated(there("userIdentity.sessionContext"))},
	{`errorCode:*unauthorized* OR errorCode:accessdenied*`, oneOf(someWord("errorCode", ".*unauthorized.*"), someWord("errorCode", "accessdenied.*"))},
	{`userAgent:"aws-cli"`, phrase("userAgent", "aws cli")},
	{`userAgent:boto3`, phrase("userAgent", "boto3")},
	{`userAgent:(stratus OR terraform)`, oneOf(phrase("userAgent", "stratus"), phrase("userAgent", "terraform"))},
	{`userIdentity.arn:user`, phrase("userIdentity.arn", "user")},
	{`userIdentity.arn.keyword:arn\:aws\:iam\:\:*\:user*`, whole("userIdentity.arn", "arn:aws:iam::.*:user.*")},
	{`userIdentity.arn:"assumed-role"`, phrase("userIdentity.arn", "assumed role")},
	{`+userIdentity.type:AssumedRole -userAgent:amazonaws.com awsRegion:"us-east-1"`, andNot(phrase("userIdentity.type", "assumedrole"), phrase("userAgent", "amazonaws.com"))},
	{`resources.type:"AWS::S3::Object"`, phrase("resources.type", "aws s3 object")},
	{`awsRegion.keyword:[eu TO us}`, some("awsRegion", func(s string) bool { return s >= "eu" && s < "us" })},
	{`eventVersion:>1.07`, someWord("eventVersion", "1.0[89]|1.1.*|[2-9].*")},
	{`requestParameters.ipPermissions.items.ipRanges.items.cidrIp:"0.0.0.0/0"`, phrase("requestParameters.ipPermissions.items.ipRanges.items.cidrIp", "0.0.0.0 0")},
}

// TestCorpora compares with the reference on real events.
func TestCorpora(t *testing.T) {
	dir := os.Getenv("TRAILTIDE_TESTDATA")
	if dir == "" {
		t.Skip("TRAILTIDE_TESTDATA is not set: no corpus to read")
	}
	files, err := filepath.Glob(filepath.Join(dir, "cloudtrail", "*.jsonl*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no events under %s: %v", dir, err)
	}
	matchers := make([]*matcher.Matcher, len(corpusQueries))
	for i, q := range corpusQueries {
		n, _, err := Parse("", q.query, matcher.Pos{})
		if err != nil {
			t.Fatalf("%s: %v", q.query, err)
		}
		rs, err := matcher.Compile([]*matcher.Rule{{ID: "r", Enabled: true, Cond: n}}, matcher.Options{})
		if err != nil {
			t.Fatal(err)
		}
		matchers[i] = rs.NewMatcher()
	}
	held := make([]int, len(corpusQueries))
	for _, name := range files {
		eachLine(t, name, func(line []byte) {
			var event map[string]any
			if err := json.Unmarshal(line, &event); err != nil {
				t.Fatal(err)
			}
			if inner, ok := event["event"].(map[string]any); ok {
				event = inner
				line, _ = json.Marshal(inner) // of what was just decoded: cannot fail
			}
			for i, q := range corpusQueries {
				var ev cloudtrail.Event
				ev.Reset(line)
				hits, _, err := matchers[i].Match(nil, &ev)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := len(hits) > 0, q.holds(any(event)); got != want && !t.Failed() {
					t.Errorf("%s: got %t for %.2000s", q.query, got, line)
				}
				held[i] += len(hits)
			}
		})
	}
	for i, n := range held {
		t.Logf("%5d %s", n, corpusQueries[i].query)
	}
}

func eachLine(t *testing.T, name string, each func([]byte)) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		each(s.Bytes())
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
}
