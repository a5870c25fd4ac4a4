package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestKinesisPage loads the configurations of docs/kinesis.md, and looks at its policies.
func TestKinesisPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/kinesis.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := func(language string) [][][]byte {
		return regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(page, -1)
	}
	engines := make(map[string]bool)
	for _, b := range blocks("yaml") {
		c, err := parseConfig("c.yaml", b[1], env(nil))
		if err != nil {
			t.Errorf("%v\n%s", err, b[1])
			continue
		}
		engines[c.Engine] = c.Source.Kinesis != nil
	}
	if !engines[engineSQLite] || !engines[engineKafka] {
		t.Errorf("the page shows Kinesis under %v, want both engines", engines)
	}
	var actions []string
	for _, b := range blocks("json") {
		var policy struct {
			Version   string
			Statement []struct {
				Effect              string
				Action              any // one, or a list
				Resource, Principal any
			}
		}
		if err := json.Unmarshal(b[1], &policy); err != nil || policy.Version != "2012-10-17" {
			t.Errorf("not a policy: %v\n%s", err, b[1])
		}
		for _, s := range policy.Statement {
			if s.Effect != "Allow" || s.Resource == nil && s.Principal == nil {
				t.Errorf("not a statement that allows something: %+v", s)
			}
			switch a := s.Action.(type) {
			case string:
				actions = append(actions, a)
			case []any:
				for _, one := range a {
					actions = append(actions, fmt.Sprint(one))
				}
			}
		}
	}
	for _, want := range []string{"kinesis:ListShards", "kinesis:GetRecords", "kinesis:SubscribeToShard", "dynamodb:UpdateItem"} {
		if !slices.Contains(actions, want) {
			t.Errorf("no policy allows %s", want)
		}
	}
}
