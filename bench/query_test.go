package bench

import (
	"bufio"
	"os"
	"path/filepath"
	"testing"

	"github.com/valyala/fastjson"

	"github.com/trailtide/trailtide/bench/measure"
	"github.com/trailtide/trailtide/bench/traffic"
	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline"
	"github.com/trailtide/trailtide/pipeline/files"
)

// questions are conditions that can be said in several languages.
var questions = []struct {
	name string
	says map[string]string
}{
	{"name", map[string]string{
		"native":      `eventName: AssumeRole`,
		"sigma":       `eventName: AssumeRole`,
		"cloudwatch":  `{ $.eventName = AssumeRole }`,
		"eventbridge": `{"detail": {"eventName": ["AssumeRole"]}}`,
		"lucene":      `eventName:AssumeRole`,
	}},
	{"names", map[string]string{
		"native":      `eventName: [DeleteTrail, StopLogging, UpdateTrail, PutEventSelectors, GetObject]`,
		"sigma":       `eventName: [DeleteTrail, StopLogging, UpdateTrail, PutEventSelectors, GetObject]`,
		"cloudwatch":  `{ ($.eventName = DeleteTrail) || ($.eventName = StopLogging) || ($.eventName = UpdateTrail) || ($.eventName = PutEventSelectors) || ($.eventName = GetObject) }`,
		"eventbridge": `{"detail": {"eventName": ["DeleteTrail", "StopLogging", "UpdateTrail", "PutEventSelectors", "GetObject"]}}`,
		"lucene":      `eventName:(DeleteTrail OR StopLogging OR UpdateTrail OR PutEventSelectors OR GetObject)`,
	}},
	{"name-and-source", map[string]string{
		"native":      `{eventName: AssumeRole, eventSource: sts.amazonaws.com}`,
		"sigma":       `{eventName: AssumeRole, eventSource: sts.amazonaws.com}`,
		"cloudwatch":  `{ $.eventName = AssumeRole && $.eventSource = sts.amazonaws.com }`,
		"eventbridge": `{"detail": {"eventName": ["AssumeRole"], "eventSource": ["sts.amazonaws.com"]}}`,
		"lucene":      `eventName:AssumeRole AND eventSource:"sts.amazonaws.com"`,
	}},
	{"nested", map[string]string{
		"native":      `userIdentity.type: IAMUser`,
		"sigma":       `userIdentity.type: IAMUser`,
		"cloudwatch":  `{ $.userIdentity.type = IAMUser }`,
		"eventbridge": `{"detail": {"userIdentity": {"type": ["IAMUser"]}}}`,
		"lucene":      `userIdentity.type:IAMUser`,
	}},
	{"nested-rare", map[string]string{
		"native":      `requestParameters.roleName: nobody`,
		"sigma":       `requestParameters.roleName: nobody`,
		"cloudwatch":  `{ $.requestParameters.roleName = nobody }`,
		"eventbridge": `{"detail": {"requestParameters": {"roleName": ["nobody"]}}}`,
		"lucene":      `requestParameters.roleName:nobody`,
	}},
	{"prefix", map[string]string{
		"native":      `eventName: {prefix: Delete}`,
		"sigma":       `eventName|startswith: Delete`,
		"cloudwatch":  `{ $.eventName = Delete* }`,
		"eventbridge": `{"detail": {"eventName": [{"prefix": "Delete"}]}}`,
		"lucene":      `eventName.keyword:Delete*`,
	}},
	{"wildcard", map[string]string{
		"native":      `userAgent: {wildcard: "*Boto3*"}`,
		"sigma":       `userAgent: "*Boto3*"`,
		"cloudwatch":  `{ $.userAgent = "*Boto3*" }`,
		"eventbridge": `{"detail": {"userAgent": [{"wildcard": "*Boto3*"}]}}`,
		"lucene":      `userAgent.keyword:*Boto3*`,
	}},
	{"numeric", map[string]string{
		"native":      `requestParameters.maxResults: {gte: 1000}`,
		"sigma":       `requestParameters.maxResults|gte: 1000`,
		"cloudwatch":  `{ $.requestParameters.maxResults >= 1000 }`,
		"eventbridge": `{"detail": {"requestParameters": {"maxResults": [{"numeric": [">=", 1000]}]}}}`,
		"lucene":      `requestParameters.maxResults:>=1000`,
	}},
	{"not", map[string]string{
		"native":      `{eventName: AssumeRole, userIdentity.type: {not: AWSService}}`,
		"sigma":       "detection:\n  a: {eventName: AssumeRole}\n  b: {userIdentity.type: AWSService}\n  condition: a and not b",
		"cloudwatch":  `{ $.eventName = AssumeRole && $.userIdentity.type != AWSService }`,
		"eventbridge": `{"detail": {"eventName": ["AssumeRole"], "userIdentity": {"type": [{"anything-but": "AWSService"}]}}}`,
		"lucene":      `eventName:AssumeRole AND NOT userIdentity.type:AWSService`,
	}},
	{"not-alone", map[string]string{
		"native":      `not: {eventName: AssumeRole}`,
		"sigma":       "detection:\n  a: {eventName: AssumeRole}\n  condition: not a",
		"cloudwatch":  `{ $.eventName != AssumeRole }`,
		"eventbridge": `{"detail": {"eventName": [{"anything-but": "AssumeRole"}]}}`,
		"lucene":      `NOT eventName:AssumeRole`,
	}},
	{"or", map[string]string{
		"native":      `any: [{eventName: StopLogging}, {errorCode: AccessDenied}]`,
		"sigma":       "detection:\n  a: {eventName: StopLogging}\n  b: {errorCode: AccessDenied}\n  condition: a or b",
		"cloudwatch":  `{ ($.eventName = StopLogging) || ($.errorCode = AccessDenied) }`,
		"eventbridge": `{"detail": {"$or": [{"eventName": ["StopLogging"]}, {"errorCode": ["AccessDenied"]}]}}`,
		"lucene":      `eventName:StopLogging OR errorCode:AccessDenied`,
	}},
}

// searches are conditions that look at all of an event, or at words: natively
// there is no such thing.
var searches = []struct{ name, language, says string }{
	{"sigma-keyword", "sigma", `[AccessDenied]`},
	{"sigma-keywords", "sigma", `[mimikatz, "Invalid-Token", StopLogging]`},
	{"sigma-keyword-cased", "sigma", "detection:\n  a:\n    '|cased': [AccessDenied]\n  condition: a"},
	{"sigma-keywords-all", "sigma", "detection:\n  a:\n    '|all': [AssumeRole, amazonaws]\n  condition: a"},
	{"sigma-keyword-re", "sigma", "detection:\n  a:\n    '|re': ['Access(Denied|Refused)']\n  condition: a"},
	{"sigma-keyword-wild", "sigma", `["Access*Denied"]`},
	{"lucene-default", "lucene", `AccessDenied`},
	{"lucene-default-common", "lucene", `AssumeRole`},
	{"lucene-default-two", "lucene", `mimikatz OR "access denied"`},
	{"lucene-default-wild", "lucene", `AccessDen*`},
	{"lucene-default-number", "lucene", `1000`},
	{"lucene-words", "lucene", `userAgent:Boto3`},
	{"lucene-words-name", "lucene", `eventName:AssumeRole`},
	{"lucene-words-nested", "lucene", `userIdentity.arn:admin`},
	{"lucene-phrase", "lucene", `errorMessage:"not authorized"`},
	{"lucene-words-wild", "lucene", `userAgent:boto*`},
	{"lucene-words-not", "lucene", `NOT userAgent:boto3`},
	{"cloudwatch-term", "cloudwatch", `AccessDenied`},
	{"cloudwatch-terms", "cloudwatch", `?AccessDenied ?UnauthorizedOperation ?mimikatz`},
	{"cloudwatch-not", "cloudwatch", `amazonaws -AssumeRole`},
	{"cloudwatch-re", "cloudwatch", `%Access[DR]e[nf][iu][es]d?%`},
}

// ndjson writes n events to a file, one a line.
func ndjson(tb testing.TB, n int) string {
	tb.Helper()
	g, err := traffic.New(traffic.Config{Seed: 1, Incidents: -1})
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "events.ndjson")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var line []byte
	for range n {
		line = append(g.AppendNext(line[:0]), '\n')
		if _, err := w.Write(line); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// querying is what the query command does to count events in a file. found gets
// how many there were.
func querying(tb testing.TB, name, path string, events int, n matcher.Node, found *int) measure.Contender {
	tb.Helper()
	rs := compile(tb, []*matcher.Rule{{ID: "query", Enabled: true, Cond: n}})
	return measure.Contender{Name: name, Events: events, Run: func() {
		src, err := files.New(files.Options{Paths: []string{path}})
		if err != nil {
			tb.Fatal(err)
		}
		read, count := int64(0), 0
		err = pipeline.Search(tb.Context(), pipeline.SearchOptions{Source: src, Rules: rs, AnyObject: true}, func(f *pipeline.Found) error {
			read, count = read+f.Read, count+f.Count
			return nil
		})
		if err != nil || read != int64(events) {
			tb.Fatalf("read %d events, want %d: %v", read, events, err)
		}
		*found = count
	}}
}

// parsingFile splits a file into lines and parses each.
func parsingFile(tb testing.TB, path string, events int) measure.Contender {
	tb.Helper()
	var p fastjson.Parser
	return measure.Contender{Name: "parse", Events: events, Run: func() {
		eachLine(tb, path, false, func(line []byte) {
			if _, err := p.ParseBytes(line); err != nil {
				tb.Fatal(err)
			}
		})
	}}
}

// asking are the contenders of a question, native first. They must agree.
func asking(tb testing.TB, path string, events int, says map[string]string) []measure.Contender {
	tb.Helper()
	var all []measure.Contender
	counts := make([]int, len(languages))
	for i, language := range languages {
		all = append(all, querying(tb, language, path, events, expression(tb, language, says[language]), &counts[i]))
		if all[i].Run(); counts[i] != counts[0] {
			tb.Fatalf("%s finds %d events, native finds %d", language, counts[i], counts[0])
		}
	}
	return all
}

var query = measure.Options{Rounds: 5}

func TestQueryCostsWhatNativeDoes(t *testing.T) {
	const events = 10_000
	path := ndjson(t, events)
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			contenders := asking(t, path, events, q.says)
			for i, language := range languages[1:] {
				bar(t, language+" as a multiple of native", 1.3, func() float64 {
					return measure.Race(query, contenders[0], contenders[i+1])[1].Ratio
				})
			}
		})
	}
}

func TestSearchCostsFewParses(t *testing.T) {
	const events = 10_000
	path := ndjson(t, events)
	parse := parsingFile(t, path, events)
	for _, s := range searches {
		found := 0
		c := querying(t, s.name, path, events, expression(t, s.language, s.says), &found)
		bar(t, s.name+" as a multiple of a parse", 3, func() float64 { return measure.Race(query, parse, c)[1].Ratio })
	}
}

// BenchmarkQuery searches a file of about 300 MB.
func BenchmarkQuery(b *testing.B) {
	const events = 250_000
	path := ndjson(b, events)
	for _, q := range questions {
		b.Run(q.name, func(b *testing.B) { measure.Bench(b, query, false, asking(b, path, events, q.says)...) })
	}
	b.Run("searches", func(b *testing.B) {
		contenders, found := []measure.Contender{parsingFile(b, path, events)}, 0
		for _, s := range searches {
			contenders = append(contenders, querying(b, s.name, path, events, expression(b, s.language, s.says), &found))
		}
		measure.Bench(b, query, false, contenders...)
	})
}
