package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit codes, for scripts.
const (
	exitOK      = 0
	exitAlerts  = 1 // --fail-on found alerts, or a rule's own test failed
	exitUsage   = 2 // the command line, the configuration, the rules or the topics are wrong
	exitRuntime = 3 // something failed while running
)

// codedError is an error with the exit code that it stands for. quiet: what
// there is to say has been said.
type codedError struct {
	code  int
	quiet bool
	err   error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func usageError(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: exitUsage, err: err}
}

func runtimeError(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code: exitRuntime, err: err}
}

// errFound ends a command that found what --fail-on asks for.
var errFound = &codedError{code: exitAlerts, quiet: true, err: errors.New("found")}

// exitCode tells the error on w and answers its code. What carries none comes
// from the command line's parser.
func exitCode(err error, w io.Writer) int {
	if err == nil {
		return exitOK
	}
	coded := &codedError{code: exitUsage}
	errors.As(err, &coded)
	if !coded.quiet {
		fmt.Fprintf(w, "trailtide: %v\n", err)
	}
	return coded.code
}
