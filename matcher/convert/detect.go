package convert

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Kind is what an input is.
type Kind string

// The kinds of input.
const (
	Unknown        Kind = ""
	AWS            Kind = "metric filters or alarms as the AWS CLI prints them"
	Terraform      Kind = "Terraform"
	CloudFormation Kind = "CloudFormation template"
	Table          Kind = "table of Lucene alerts"
	EventBridge    Kind = "EventBridge rule"
	Sigma          Kind = "Sigma rules"
	Native         Kind = "native rules"
)

// Detect says what the file at path is; of a directory, what the first file in it
// is that is of a known kind.
func Detect(path string) (Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Unknown, err
	}
	if !info.IsDir() {
		in, err := readInput(path)
		if err != nil {
			return Unknown, err
		}
		return DetectData(in), nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return Unknown, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if in, err := readInput(filepath.Join(path, e.Name())); err == nil {
			if kind := DetectData(in); kind != Unknown {
				return kind, nil
			}
		}
	}
	return Unknown, nil
}

// DetectData says what an input is, by its contents and the ending of its name.
func DetectData(in Input) Kind {
	ext := strings.ToLower(filepath.Ext(in.Name))
	switch ext {
	case ".tf":
		return Terraform
	case ".csv":
		return Table
	}
	data := bytes.TrimSpace(bytes.TrimPrefix(in.Data, []byte("\ufeff")))
	if len(data) > 0 && (data[0] == '{' || data[0] == '[') {
		var keys map[string]json.RawMessage
		if json.Unmarshal(data, &keys) == nil {
			return kindOfKeys(func(key string) bool { return keys[key] != nil })
		}
	}
	if header(in.Data) != nil {
		return Table
	}
	if ext == ".yaml" || ext == ".yml" || ext == ".template" {
		return kindOfYAML(in.Data)
	}
	return Unknown
}

func kindOfKeys(has func(string) bool) Kind {
	switch {
	case has("metricFilters"), has("MetricAlarms"), has("CompositeAlarms"):
		return AWS
	case has("Resources"), has("AWSTemplateFormatVersion"):
		return CloudFormation
	case has("EventPattern"), has("Rules"), has("detail"), has("source"), has("detail-type"):
		return EventBridge
	case has("detection"), has("correlation"), has("filter"):
		return Sigma
	case has("rules"):
		return Native
	}
	return Unknown
}

func kindOfYAML(data []byte) Kind {
	doc, err := parseYAML(data)
	if err != nil || doc.Kind != yaml.MappingNode {
		return Unknown
	}
	return kindOfKeys(func(key string) bool {
		for i := 0; i+1 < len(doc.Content); i += 2 {
			if doc.Content[i].Value == key {
				return true
			}
		}
		return false
	})
}
