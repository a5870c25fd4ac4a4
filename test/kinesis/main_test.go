//go:build unix

package kinesis

import (
	"os"
	"testing"

	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kinesispeers"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// need skips what takes a while, unless it was asked for: make test-kinesis and
// make chaos-kinesis do.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv(kinesispeers.Variable) != "1" && os.Getenv("TRAILTIDE_CHAOS_KILLS") == "" {
		t.Skip("make test-kinesis has it")
	}
}
