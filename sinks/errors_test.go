package sinks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestErrorClasses(t *testing.T) {
	cause := errors.New("refused")
	perm := fmt.Errorf("post: %w", Permanent(cause))
	if !IsPermanent(perm) || !errors.Is(perm, cause) {
		t.Error("a wrapped permanent error is not recognised")
	}
	if IsPermanent(cause) || Permanent(nil) != nil {
		t.Error("marked without a mark")
	}

	err := Partial([]Failure{{1, io.ErrUnexpectedEOF}, {4, context.DeadlineExceeded}})
	var p *PartialError
	if !errors.As(fmt.Errorf("write: %w", err), &p) || len(p.Failed) != 2 {
		t.Fatalf("not a partial error: %v", err)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error("a cause is lost")
	}
	if Partial(nil) != nil {
		t.Error("no failures are an error")
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"120", 2 * time.Minute, true},
		{" 1 ", time.Second, true},
		{"0", 0, false},
		{"-5", 0, false},
		{"1.5", 0, false},
		{"", 0, false},
		{"99999999999999999999", 0, false},
		{now.Add(time.Minute).Format(http.TimeFormat), time.Minute, true},
		{now.Add(-time.Minute).Format(http.TimeFormat), -time.Minute, false},
		{"soon", 0, false},
	}
	for _, tt := range tests {
		got, ok := ParseRetryAfter(tt.in, now)
		if ok != tt.ok || got != tt.want {
			t.Errorf("ParseRetryAfter(%q) = %v, %v; want %v, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 02 Jan 2026 03:04:05 GMT")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := ParseRetryAfter(s, now); ok != (d > 0) {
			t.Fatalf("ParseRetryAfter(%q) = %v, %v", s, d, ok)
		}
	})
}

func TestPause(t *testing.T) {
	p := RetryPolicy{Initial: time.Second, Max: 10 * time.Second, MaxRetryAfter: time.Minute}
	half := func() float64 { return 0.5 }
	for attempt, want := range map[int]time.Duration{
		1: 500 * time.Millisecond, 2: time.Second, 4: 4 * time.Second, 5: 5 * time.Second, 40: 5 * time.Second, 1000: 5 * time.Second,
	} {
		if got := p.Pause(attempt, nil, half); got != want {
			t.Errorf("Pause(%d) = %v, want %v", attempt, got, want)
		}
	}
	wish := fmt.Errorf("post: %w", &RetryAfterError{After: 20 * time.Second, Err: io.EOF})
	if got := p.Pause(1, wish, half); got != 20*time.Second+500*time.Millisecond {
		t.Errorf("the receiver's wish is not honoured: %v", got)
	}
	greedy := &RetryAfterError{After: 24 * time.Hour, Err: io.EOF}
	if got := p.Pause(1, greedy, half); got != time.Minute+500*time.Millisecond {
		t.Errorf("the receiver's wish is not bounded: %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := RetryPolicy{
			Initial: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "initial")),
			Max:     time.Duration(rapid.Int64Range(int64(time.Hour), int64(100*time.Hour)).Draw(t, "max")),
		}
		got := p.Pause(rapid.IntRange(1, 1<<30).Draw(t, "attempt"), nil, nil)
		if got < 0 || got > p.Max {
			t.Fatalf("pause %v out of [0, %v]", got, p.Max)
		}
	})
}

func TestGiveUp(t *testing.T) {
	tests := []struct {
		name             string
		p                RetryPolicy
		attempts, single int
		elapsed          time.Duration
		err              error
		want             string
	}{
		{"goes on", RetryPolicy{}, 50, 0, 59 * time.Minute, io.EOF, ""},
		{"an hour by default", RetryPolicy{}, 50, 0, 61 * time.Minute, io.EOF, "time used up"},
		{"for ever", RetryPolicy{MaxElapsed: -1}, 50, 0, 9999 * time.Hour, io.EOF, ""},
		{"attempts", RetryPolicy{MaxAttempts: 3}, 3, 0, 0, io.EOF, "attempts used up"},
		{"not yet alone", RetryPolicy{}, 9, 9, 0, io.EOF, ""},
		{"alone", RetryPolicy{}, 10, 10, 0, io.EOF, "fails alone"},
		{"permanent", RetryPolicy{MaxElapsed: -1}, 1, 0, 0, Permanent(io.EOF), "permanent"},
	}
	for _, tt := range tests {
		reason, done := tt.p.GiveUp(tt.attempts, tt.single, tt.elapsed, tt.err)
		if reason != tt.want || done != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, reason, done, tt.want)
		}
	}
}

func TestRetryPolicyValidate(t *testing.T) {
	if err := (RetryPolicy{}).Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	err := RetryPolicy{Initial: time.Hour, Max: time.Second, MaxAttempts: -1}.Validate()
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 2 {
		t.Errorf("want two problems, have %v", err)
	}
}
