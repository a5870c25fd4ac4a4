package kinesis

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/trailtide/trailtide/pipeline/kinesis/kinesistest"
)

func TestStart(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		began := time.Now().Add(-time.Hour).Truncate(time.Second)
		for start, want := range map[string]string{
			startHorizon: "old middle", began.Add(time.Minute).UTC().Format(time.RFC3339): "middle", startLatest: "",
		} {
			t.Run(start, func(t *testing.T) {
				srv, clock := clocked(t, began)
				srv.CreateStream("trail", 1)
				srv.Put("trail", "k", []byte("old"))
				srv.Split("trail", "shardId-000000000000")
				clock.Add(2 * time.Minute.Milliseconds())
				srv.Put("trail", "k", []byte("middle"))
				clock.Add(2 * time.Minute.Milliseconds())
				o := options(srv, mode, "trail")
				o.Start = start
				r := open(t, o, nil)
				r.untilLive()
				if got := strings.Join(r.payloads(), " "); got != want {
					t.Errorf("%q, want %q", got, want)
				}
				// What comes while nobody reads is read by a run that knows only the start.
				r.close()
				srv.Put("trail", "k", []byte("new"))
				r = r.restart(o)
				r.untilLive()
				if got := strings.Join(r.payloads(), " "); got != "new" {
					t.Errorf("%q after the restart, want new", got)
				}
			})
		}
	})
}

// clocked is a server whose clock a test moves, in Unix milliseconds.
func clocked(t *testing.T, at time.Time) (*kinesistest.Server, *atomic.Int64) {
	t.Helper()
	clock := new(atomic.Int64)
	clock.Store(at.UnixMilli())
	return server(t, kinesistest.Options{
		Now: func() time.Time { return time.UnixMilli(clock.Load()) }, MaxSkew: -1, ResubscribeAfter: -1,
	}), clock
}

func TestStreamRemade(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		for _, how := range []string{"running", "stopped"} {
			t.Run(how, func(t *testing.T) {
				srv := server(t, kinesistest.Options{})
				srv.CreateStream("trail", 2)
				fill(srv, "trail", 0, 19)
				o := options(srv, mode, "trail")
				o.Start = startHorizon
				r := open(t, o, nil)
				r.untilCount(20)
				r.untilLive()
				if how == "stopped" {
					r.close()
				}
				srv.DeleteStream("trail")
				if how == "running" {
					r.until("the partitions to be closed", func() bool { return len(r.open) == 0 })
					if err := r.s.Health(); err == nil || err.Error() != "streams that do not exist: trail" {
						t.Errorf("health: %v", err)
					}
				}
				srv.CreateStream("trail", 1)
				fill(srv, "trail", 100, 129)
				if how == "stopped" {
					r = r.restart(o)
				} else {
					r.got = nil
				}
				r.untilCount(30)
				r.untilLive()
				checkOrder(t, r.payloads(), 100, 129)
				if n := r.metric("streams_remade_total"); n != 1 {
					t.Errorf("%v remade streams are counted", n)
				}
				if err := r.s.Health(); err != nil {
					t.Errorf("health: %v", err)
				}
			})
		}
	})
}

// A shard whose unread rest retention has removed with the shard itself is
// counted, and its children are read.
func TestShardTrimmed(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv, clock := clocked(t, time.Now().Add(-72*time.Hour))
		srv.CreateStream("trail", 1)
		fill(srv, "trail", 0, 9)
		o := options(srv, mode, "trail")
		r := open(t, o, nil)
		r.untilCount(10)
		r.close()
		fill(srv, "trail", 10, 19)
		srv.Split("trail", "shardId-000000000000")
		clock.Add(48 * time.Hour.Milliseconds())
		fill(srv, "trail", 20, 29)
		r = r.restart(o)
		r.untilCount(10)
		r.untilLive()
		checkOrder(t, r.payloads(), 20, 29)
		if n := r.metric("shards_trimmed_total"); n != 1 {
			t.Errorf("%v trimmed shards are counted", n)
		}
		r.until("its position to be finished", func() bool {
			pos, err := decodePosition(r.positions["trail/shardId-000000000000"])
			return err == nil && pos.kind == finished
		})
		// Once more: nothing is lost any more, and nothing is said.
		r = r.restart(o)
		r.untilLive()
		if n := r.metric("shards_trimmed_total"); n != 0 || len(r.got) != 0 {
			t.Errorf("%v trimmed shards and %d records after another restart", n, len(r.got))
		}
	})
}

// A stream that is not there yet is waited for; the other one is read.
func TestStreamAbsent(t *testing.T) {
	srv := server(t, kinesistest.Options{StatusDelay: 30 * time.Millisecond})
	srv.CreateStream("here", 1)
	r := open(t, options(srv, modePolling, "here", "later"), nil)
	r.until("the first to be read", func() bool { return r.open["here/shardId-000000000000"] })
	if r.live {
		t.Error("live without a stream")
	}
	if err := r.s.Health(); err == nil || !strings.Contains(err.Error(), "later") {
		t.Errorf("health: %v", err)
	}
	srv.CreateStream("later", 1)
	fill(srv, "later", 0, 9)
	r.untilCount(10)
	r.untilLive()
	if err := r.s.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

// Failures of any kind are waited out, told by Health, and said once.
func TestFailuresAreWaitedOut(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		op := "GetRecords"
		if mode == modeFanOut {
			op = "SubscribeToShard"
		}
		for _, code := range []string{
			kinesistest.ErrExpiredToken, kinesistest.ErrAccessDenied, kinesistest.ErrKMSDisabled, kinesistest.ErrInternalFailure,
		} {
			t.Run(code, func(t *testing.T) {
				srv := server(t, kinesistest.Options{})
				srv.CreateStream("trail", 2)
				fault := srv.Inject(kinesistest.Fault{Op: op, Code: code})
				fill(srv, "trail", 0, 99)
				r := open(t, options(srv, mode, "trail"), nil)
				r.until("health to tell", func() bool {
					err := r.s.Health()
					return err != nil && strings.Contains(err.Error(), code) && fault.Hits() > 10
				})
				if r.live || len(r.got) > 0 {
					t.Error("live, or has records")
				}
				fault.Remove()
				r.untilCount(100)
				r.untilLive()
				checkOrder(t, r.payloads(), 0, 99)
				if err := r.s.Health(); err != nil {
					t.Errorf("health: %v", err)
				}
				if n := r.logged("cannot be read"); n != 1 {
					t.Errorf("it is said %d times", n)
				}
			})
		}
	})
}

// Credentials that were refused are looked for anew.
func TestCredentialsAreReloaded(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 1)
	srv.Inject(kinesistest.Fault{AccessKey: "OLD", Code: kinesistest.ErrExpiredToken})
	fill(srv, "trail", 0, 9)
	o := options(srv, modePolling, "trail")
	var loads atomic.Int32
	o.Config.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		loads.Add(1)
		return aws.Credentials{AccessKeyID: "OLD", SecretAccessKey: "s"}, nil
	})
	r := prepare(t, o)
	if err := r.s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r.s.conn.base.mu.Lock()
	r.s.conn.base.load = func(context.Context) (aws.CredentialsProvider, error) { return srv.Config().Credentials, nil }
	r.s.conn.base.mu.Unlock()
	r.untilCount(10)
	if loads.Load() == 0 {
		t.Error("the first credentials were not used")
	}
}

// A clock that is wrong makes signatures that are refused; the SDK learns the
// difference from the answer.
func TestClockSkew(t *testing.T) {
	srv := server(t, kinesistest.Options{Now: func() time.Time { return time.Now().Add(20 * time.Minute) }})
	srv.CreateStream("trail", 2)
	fill(srv, "trail", 0, 99)
	r := open(t, options(srv, modePolling, "trail"), nil)
	r.untilCount(100)
	r.untilLive()
	checkOrder(t, r.payloads(), 0, 99)
}

// While nobody takes batches, no more is read than the buffer holds, and what
// expires or ends meanwhile is renewed.
func TestSlowPipeline(t *testing.T) {
	modes(t, func(t *testing.T, mode string) {
		srv := server(t, kinesistest.Options{IteratorTTL: 50 * time.Millisecond, SubscriptionTime: 500 * time.Millisecond})
		srv.CreateStream("trail", 4)
		const n = 200
		pad := strings.Repeat("x", 16<<10)
		for i := range n {
			key := string(rune('a' + i%26))
			srv.Put("trail", key, []byte(key+":"+strconv.Itoa(i)+" "+pad))
		}
		o := options(srv, mode, "trail")
		o.BufferBytes, o.MaxRecords = 1<<20, 10
		r := open(t, o, nil)
		r.until("the first records", func() bool { return len(r.got) > 0 })
		deadline := time.NewTimer(700 * time.Millisecond)
		defer deadline.Stop()
		<-deadline.C // a pipeline that is slow for longer than iterators and subscriptions live
		r.s.budget.mu.Lock()
		used := r.s.budget.used
		r.s.budget.mu.Unlock()
		if limit := o.BufferBytes + 4*1<<20; used > limit {
			t.Errorf("%d bytes are held, the limit is %d", used, limit)
		}
		r.untilCount(n)
		r.untilLive()
		if len(r.got) != n {
			t.Errorf("%d records, want %d", len(r.got), n)
		}
		r.close()
		if left := r.s.budget.used; left != 0 {
			t.Errorf("%d bytes are left in the budget", left)
		}
	})
}

// An idle shard tells the wall clock, one that is behind never.
func TestIdle(t *testing.T) {
	srv := server(t, kinesistest.Options{})
	srv.CreateStream("trail", 2)
	o := options(srv, modePolling, "trail")
	o.IdleAfter = 50 * time.Millisecond
	began := time.Now()
	r := open(t, o, nil)
	r.until("both to be idle", func() bool { return len(r.idle) == 2 })
	for name, at := range r.idle {
		if idle := time.Unix(0, at).Sub(began); idle < o.IdleAfter || idle > patience {
			t.Errorf("%s is idle at %v after the start", name, idle)
		}
	}
}
