//go:build unix

package kinesis

import (
	"os"
	"testing"

	"github.com/trailtide/trailtide/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
