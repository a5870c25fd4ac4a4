//go:build unix

package kinesispeers

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

//go:embed package.json
var manifest []byte

//go:embed package-lock.json
var lockFile []byte

//go:embed loopback.js
var loopback []byte

// Install returns the directory that holds the npm packages: a directory in
// the user's cache directory (or below TRAILTIDE_KINESIS_CACHE) that is made
// by the first who needs it. Processes that need it at the same time wait.
// Install scripts are not run.
func Install(ctx context.Context) (dir string, err error) {
	root := os.Getenv("TRAILTIDE_KINESIS_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the npm packages (TRAILTIDE_KINESIS_CACHE names one): %w", err)
		}
		root = filepath.Join(cache, "trailtide")
	}
	version := sha256.New()
	for _, file := range [][]byte{manifest, lockFile, loopback} {
		version.Write(file)
	}
	dir = filepath.Join(root, fmt.Sprintf("kinesispeers-%x", version.Sum(nil)[:6]))
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("wait for another process that installs the peers: %w", err)
	}
	defer unlock()
	if complete(dir) {
		return dir, nil
	}
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("install the npm packages: %w", err)
	}
	return dir, nil
}

// complete says whether the packages are there. They appear all at once.
func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "node_modules"))
	return err == nil
}

// fetch fills a directory beside dir and renames it.
func fetch(ctx context.Context, dir string) (err error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("npm is needed: %w", err)
	}
	tmp := dir + ".new" // ours alone, under the lock
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for name, data := range map[string][]byte{"package.json": manifest, "package-lock.json": lockFile, "loopback.js": loopback} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir, cmd.WaitDelay = tmp, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return os.Rename(tmp, dir)
}

// lock waits until the file's lock is ours. The file stays.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which gives up the lock; nothing was written
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-tick.C:
		}
	}
}
