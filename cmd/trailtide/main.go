// Command trailtide watches a CloudTrail stream and tells the right people
// about the few events that matter.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// stdio is what a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// run executes one command line and answers its exit code. A second
// interrupt ends the process at once, since stop has restored the signals.
func run(ctx context.Context, args []string, s stdio) int {
	cmd := newRoot(s)
	cmd.SetArgs(args)
	return exitCode(cmd.ExecuteContext(ctx), s.err)
}
