//go:build unix

package kafkabroker

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Version of Apache Kafka that is run; pom.xml names it, too.
const Version = "4.3.1"

//go:embed pom.xml
var pom []byte

// archiveFile holds the broker's classes as Java has them in memory, beside the
// jars. It takes a second off each start, and Java does without it when it does not fit.
const archiveFile = "classes.jsa"

// Jars returns the directory that holds the broker's jars: the one that
// TRAILTIDE_KAFKA_LIBS names, or trailtide/kafka-VERSION in the user's cache
// directory. When there is none it is made, with Maven, which downloads about
// 100 MB. Processes that need it at the same time wait for the first.
func Jars(ctx context.Context) (dir string, err error) {
	if dir = os.Getenv("TRAILTIDE_KAFKA_LIBS"); dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for Kafka's jars (TRAILTIDE_KAFKA_LIBS names one): %w", err)
		}
		dir = filepath.Join(cache, "trailtide", "kafka-"+Version)
	}
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
		return "", fmt.Errorf("wait for another process that fetches Kafka: %w", err)
	}
	defer unlock()
	if complete(dir) {
		return dir, nil
	}
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("fetch Kafka %s: %w", Version, err)
	}
	return dir, nil
}

// complete says whether the jars are there. They appear all at once.
func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "kafka_2.13-"+Version+".jar"))
	return err == nil
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

// fetch fills a directory beside dir and renames it.
func fetch(ctx context.Context, dir string) (err error) {
	if _, err := java(); err != nil {
		return err
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("maven is needed: %w", err)
	}
	tmp := dir + ".new" // ours alone, under the lock; what a dead process left in it is nothing worth
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), pom, 0o644); err != nil {
		return err
	}
	jars := filepath.Join(tmp, "jars")
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	cmd.Dir = tmp
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run maven: %w\n%s", err, out)
	}
	if !complete(jars) {
		return errors.New("maven left no broker")
	}
	if err := archive(ctx, jars, filepath.Join(tmp, "broker")); err != nil {
		return fmt.Errorf("the first start: %w", err)
	}
	return os.Rename(jars, dir)
}

// archive starts a broker once and has Java write down its classes.
func archive(ctx context.Context, jars, dir string) error {
	c, err := New(ctx, Options{Dir: dir, jars: jars, archive: filepath.Join(dir, archiveFile)})
	if err != nil {
		return err
	}
	if err := errors.Join(c.Node(1).Stop(), c.Close()); err != nil {
		return err
	}
	err = os.Rename(filepath.Join(dir, archiveFile), filepath.Join(jars, archiveFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil // not every Java makes one
	}
	return err
}

// classPath lists the jars in a fixed order and by their names alone, so that
// an archive of their classes fits wherever the directory is.
func classPath(dir string) (string, error) {
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return "", err
	}
	for i := range jars {
		jars[i] = filepath.Base(jars[i])
	}
	return strings.Join(jars, ":"), nil
}

// java finds Java, by JAVA_HOME when it is set.
func java() (string, error) {
	name := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		name = filepath.Join(home, "bin", "java")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("java 17 or newer is needed: %w", err)
	}
	return path, nil
}
