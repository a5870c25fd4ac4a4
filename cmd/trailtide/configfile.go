package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfigBytes bounds a configuration file, and a file that a value names.
const maxConfigBytes = 1 << 20

// parseConfig reads a configuration strictly: an unknown key is an error. A
// value may be "${env:NAME}" or "${file:/path}" so that secrets stay out of it.
func parseConfig(path string, src []byte, env func(string) (string, bool)) (*Config, error) {
	if len(src) > maxConfigBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxConfigBytes)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := new(Config)
	var errs []error
	if root.Kind != 0 {
		errs = append(errs, expand(&root, filepath.Dir(path), env)...)
		expanded, err := yaml.Marshal(&root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		// Unknown keys are found in the original, so that lines are the author's.
		// What can be read is checked all the same: all problems at once.
		strict := yaml.NewDecoder(bytes.NewReader(src))
		strict.KnownFields(true)
		if err := strict.Decode(new(Config)); err != nil && !errors.Is(err, io.EOF) {
			errs = append(errs, decodeErrors(err)...)
		}
		if err := yaml.Unmarshal(expanded, c); err != nil && len(errs) == 0 {
			errs = append(errs, decodeErrors(err)...)
		}
	}
	c.setDefaults(filepath.Dir(path))
	if err := c.validate(); err != nil {
		errs = append(errs, unjoin(err)...)
	}
	if len(errs) == 0 {
		return c, nil
	}
	for i, err := range errs {
		errs[i] = fmt.Errorf("%s: %w", path, err)
	}
	return nil, errors.Join(errs...)
}

// decodeErrors splits what the YAML decoder reports at once.
func decodeErrors(err error) []error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return []error{err}
	}
	errs := make([]error, len(typed.Errors))
	for i, msg := range typed.Errors {
		errs[i] = errors.New(strings.ReplaceAll(msg, "in type main.", "in "))
	}
	return errs
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// expand replaces "${env:NAME}" and "${file:PATH}" values in place.
func expand(n *yaml.Node, dir string, env func(string) (string, bool)) []error {
	var errs []error
	for _, child := range n.Content {
		errs = append(errs, expand(child, dir, env)...)
	}
	if n.Kind != yaml.ScalarNode || !strings.HasPrefix(n.Value, "${") || !strings.HasSuffix(n.Value, "}") {
		return errs
	}
	kind, name, _ := strings.Cut(n.Value[2:len(n.Value)-1], ":")
	switch kind {
	case "env":
		value, ok := env(name)
		if !ok {
			return append(errs, fmt.Errorf("line %d: environment variable %s is not set", n.Line, name))
		}
		n.SetString(value)
	case "file":
		value, err := readSecret(relativeTo(dir, name))
		if err != nil {
			return append(errs, fmt.Errorf("line %d: %w", n.Line, err))
		}
		n.SetString(value)
	default:
		errs = append(errs, fmt.Errorf("line %d: ${%s:…} is not known: env or file", n.Line, kind))
	}
	return errs
}

// readSecret returns a file's text without the line end after it.
func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes))
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
