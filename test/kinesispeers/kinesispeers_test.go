//go:build unix

package kinesispeers

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// The lock file names no place to download from: every user has their own registry.
func TestLockNamesNoAddress(t *testing.T) {
	if bytes.Contains(lockFile, []byte(`"resolved"`)) {
		t.Error(`package-lock.json: make it with npm install --omit-lockfile-registry-resolved`)
	}
	if !bytes.Contains(lockFile, []byte(`"integrity"`)) {
		t.Error("package-lock.json has no checksums")
	}
}

// A DynamoDB answers.
func TestDynalite(t *testing.T) {
	out, err := dynamodb.NewFromConfig(Config(Dynalite(t))).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil || len(out.TableNames) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}

// A peer that ends by itself is told with what it said.
func TestEarlyEnd(t *testing.T) {
	cmd := exec.Command("sh", "-c", "exit 3")
	p, err := startProcess(cmd)
	if err != nil {
		t.Fatal(err)
	}
	err = ready(t.Context(), p, "http://127.0.0.1:1")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("error %v", err)
	}
}

// TestMain becomes a test process that starts a peer and is killed, when asked to.
func TestMain(m *testing.M) {
	if os.Getenv("KINESISPEERS_ORPHAN") == "" {
		os.Exit(m.Run())
	}
	p, err := startProcess(exec.Command("sleep", "600"))
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(strconv.Itoa(p.cmd.Process.Pid) + "\n")
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// Nothing outlives a test process that is killed.
func TestKilledTestLeavesNothing(t *testing.T) {
	if dieTogether() == nil {
		t.Skip("this system cannot do that")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "KINESISPEERS_ORPHAN=1")
	out, _ := cmd.Output() // it was killed
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("it said %q", out)
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[0] != "Z"
}

// What a peer listens on is on the loopback address only.
func TestLoopback(t *testing.T) {
	url := Kinesalite(t)
	port := url[strings.LastIndexByte(url, ':')+1:]
	resp, err := http.Get("http://127.0.0.2:" + port)
	if err == nil {
		resp.Body.Close()
		t.Error("it listens on more than 127.0.0.1")
	}
}
