package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// ErrInUse says that another worker has the state file open.
var ErrInUse = errors.New("state file is in use")

// lockFile takes the lock of a state file: a file beside it, for SQLite's own
// locks come and go with transactions. It holds a line about its holder for
// the message to the next one. It is never removed: that would race.
func lockFile(path string, now time.Time) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	taken, err := tryLock(f)
	if err == nil && !taken {
		holder, readErr := io.ReadAll(io.LimitReader(f, 512))
		who := strings.TrimSpace(string(holder))
		if readErr != nil || who == "" {
			who = "another process"
		}
		err = fmt.Errorf("%w: %s is held by %s; one worker at a time may use it", ErrInUse, path, who)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := writeHolder(f, now); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

func writeHolder(f *os.File, now time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.NewOffsetWriter(f, 0), "process %d on %s since %s\n", os.Getpid(), host, now.UTC().Format(time.RFC3339))
	return err
}
