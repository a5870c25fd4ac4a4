package webhook

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/sinktest"
	"github.com/trailtide/trailtide/sinks/transport"
)

var _ sinks.Sink = (*Sink)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver takes alerts, one or an array a request.
type receiver struct {
	refuse func(id string) bool

	mu       sync.Mutex
	alerts   []*sinks.Alert
	requests []*http.Request
	bodies   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	raw := []json.RawMessage{body}
	if body[0] == '[' {
		if err := json.Unmarshal(body, &raw); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req)
	r.bodies = append(r.bodies, string(body))
	for _, b := range raw {
		a, err := sinks.ParseAlert(b)
		if err != nil || r.refuse != nil && r.refuse(a.AlertID) {
			http.Error(w, "no, thank you", http.StatusUnprocessableEntity)
			return
		}
		r.alerts = append(r.alerts, a)
	}
	w.WriteHeader(http.StatusAccepted)
}

func (r *receiver) Received(*testing.T) []*sinks.Alert {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.alerts)
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func open(t *testing.T, url string, o Options) *Sink {
	t.Helper()
	o.URL = sinks.Secret(url)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) }) // a second close does nothing
	return s
}

func TestConformance(t *testing.T) {
	for _, o := range []Options{{}, {Concurrency: 1}, {Batch: 7}} {
		t.Run(fmt.Sprintf("batch %d concurrency %d", o.Batch, o.Concurrency), func(t *testing.T) {
			h := sinktest.Harness{
				New: func(t *testing.T) (sinks.Sink, sinktest.Receiver) {
					t.Helper()
					r := new(receiver)
					return open(t, serve(t, r), o), r
				},
				Failing: func(t *testing.T) sinks.Sink {
					t.Helper()
					return open(t, serve(t, status(http.StatusInternalServerError)), o)
				},
				Stuck: func(t *testing.T) sinks.Sink {
					t.Helper()
					return open(t, serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						<-r.Context().Done()
					})), o)
				},
			}
			if o.Batch == 0 {
				h.Refusing = func(t *testing.T, refuse func(string) bool) (sinks.Sink, sinktest.Receiver) {
					t.Helper()
					r := &receiver{refuse: refuse}
					return open(t, serve(t, r), o), r
				}
			}
			sinktest.Run(t, h)
		})
	}
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
	})
}

// one posts one alert and returns its error.
func one(t *testing.T, s *Sink) error {
	t.Helper()
	err := s.Write(t.Context(), sinktest.Alerts(0, 1))
	var p *sinks.PartialError
	if errors.As(err, &p) {
		return p.Failed[0].Err
	}
	return err
}

func TestStatuses(t *testing.T) {
	tests := map[int]string{
		200: "ok", 201: "ok", 202: "ok", 204: "ok",
		301: "again", 302: "again", 307: "again", 308: "again",
		400: "permanent", 401: "permanent", 403: "permanent", 404: "permanent", 410: "permanent", 413: "permanent", 422: "permanent",
		408: "again", 425: "again", 429: "again", 500: "again", 501: "again", 502: "again", 503: "again", 504: "again",
	}
	for code, want := range tests {
		err := one(t, open(t, serve(t, status(code)), Options{}))
		got := "again"
		if err == nil {
			got = "ok"
		} else if sinks.IsPermanent(err) {
			got = "permanent"
		}
		if got != want {
			t.Errorf("status %d: %s, want %s (%v)", code, got, want, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, now.Add(time.Minute).Format(http.TimeFormat): time.Minute, "whenever": 0, "": 0,
	} {
		s := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})), Options{})
		s.now = func() time.Time { return now }
		var wish *sinks.RetryAfterError
		if err := one(t, s); errors.As(err, &wish) != (want > 0) || wish != nil && wish.After != want {
			t.Errorf("Retry-After %q: %v, want %v", value, err, want)
		}
	}
}

func TestRequest(t *testing.T) {
	r := new(receiver)
	url := serve(t, r)
	s := open(t, url+"/hook?token=t0ken", Options{
		Headers: map[string]sinks.Secret{"Authorization": "Bearer x", "X-Team": "soc"},
		Secrets: []sinks.Secret{"new", "old"},
	})
	s.now = func() time.Time { return time.Unix(1_767_322_800, 0) }
	firing, again, resolved := sinktest.Alert(1), sinktest.Alert(1), sinktest.Alert(1)
	again.DetectedAt = again.DetectedAt.Add(time.Hour) // the same state, committed anew
	resolved.Status = sinks.Resolved
	for _, a := range []*sinks.Alert{firing, again, resolved} {
		if err := s.Write(t.Context(), []*sinks.Alert{a}); err != nil {
			t.Fatal(err)
		}
	}
	h := r.requests[0].Header
	for name, want := range map[string]string{
		"Authorization": "Bearer x", "X-Team": "soc", "Content-Type": "application/json", "User-Agent": "trailtide",
		"X-Trailtide-Timestamp": "1767322800",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.requests[0].Method != http.MethodPost || r.requests[0].URL.RequestURI() != "/hook?token=t0ken" {
		t.Errorf("%s %s", r.requests[0].Method, r.requests[0].URL)
	}
	if r.bodies[0] != string(firing.AppendJSON(nil)) {
		t.Errorf("body %s", r.bodies[0])
	}
	key := func(i int) string { return r.requests[i].Header.Get("Idempotency-Key") }
	if !strings.HasPrefix(key(0), firing.AlertID+"-firing-") || key(0) != key(1) || key(0) == key(2) {
		t.Errorf("idempotency keys %q, %q, %q", key(0), key(1), key(2))
	}
	if sig := h.Get("X-Trailtide-Signature"); strings.Count(sig, "v1=") != 2 {
		t.Errorf("signature %q", sig)
	}
}

// TestBatch: one request for a whole batch, and one failure for all its alerts.
func TestBatch(t *testing.T) {
	r := new(receiver)
	s := open(t, serve(t, r), Options{Batch: 100, Concurrency: 1})
	if err := s.Write(t.Context(), sinktest.Alerts(0, 10)); err != nil {
		t.Fatal(err)
	}
	if len(r.requests) != 1 || len(r.alerts) != 10 || r.alerts[9].EventID != "e-9" {
		t.Errorf("%d requests with %d alerts", len(r.requests), len(r.alerts))
	}
}

// TestHostile: whatever a server does, Write ends in time with an error that
// may be retried, and tells no secret.
func TestHostile(t *testing.T) {
	secretPath := "/services/T0P-S3CRET?token=S3CRET"
	stolen := make(chan string, 10)
	thief := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen <- r.URL.Path }))
	raw := func(answer string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = buf.WriteString(answer)
			_ = buf.Flush()
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // reset
			}
			_ = conn.Close()
		})
	}
	tests := map[string]http.Handler{
		"reset":     raw(""),
		"not HTTP":  raw("SSH-2.0-OpenSSH\r\n"),
		"cut short": raw("HTTP/1.1 200 OK\r\nContent-"),
		"huge header": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
		}),
		"redirect": http.RedirectHandler(thief, http.StatusTemporaryRedirect),
		"slow": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}),
		"endless body": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("\x1b[31m", 1000)); err != nil {
					return
				}
			}
		}),
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			s := open(t, serve(t, h)+secretPath, Options{Timeout: 300 * time.Millisecond, Secrets: []sinks.Secret{"S3CRET"}})
			start := time.Now()
			err := one(t, s)
			if err == nil || sinks.IsPermanent(err) {
				t.Fatalf("error %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
			if text := err.Error(); strings.Contains(text, "S3CRET") || strings.Contains(text, "\x1b") || len(text) > 2000 {
				t.Errorf("the error tells too much: %.300q", text)
			}
		})
	}
	if len(stolen) != 0 {
		t.Error("a redirect was followed")
	}
	t.Run("endless body after 200", func(t *testing.T) {
		s := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		})), Options{})
		if err := one(t, s); err != nil {
			t.Errorf("the receiver took it: %v", err)
		}
	})
}

// TestDownReceiver: a batch does not wait for a timeout for each of its alerts.
func TestDownReceiver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	_ = l.Close()
	err = open(t, url, Options{Concurrency: 1}).Write(t.Context(), sinktest.Alerts(0, 50))
	var p *sinks.PartialError
	if !errors.As(err, &p) || len(p.Failed) != 50 {
		t.Fatalf("error %v", err)
	}
	for i, f := range p.Failed {
		if errors.Is(f.Err, sinks.ErrNotTried) != (i >= downAfter) {
			t.Errorf("alert %d: %v", i, f.Err)
		}
	}
}

// TestOrder: a later state of an alert does not overtake one that failed.
func TestOrder(t *testing.T) {
	first := true
	r := new(receiver)
	s := open(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if first {
			first = false
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.ServeHTTP(w, req)
	})), Options{Concurrency: 1})
	firing, resolved := sinktest.Alert(1), sinktest.Alert(1)
	resolved.Status = sinks.Resolved
	err := s.Write(t.Context(), []*sinks.Alert{firing, sinktest.Alert(2), resolved})
	var p *sinks.PartialError
	if !errors.As(err, &p) || len(p.Failed) != 2 || p.Failed[0].Index != 0 || p.Failed[1].Index != 2 || !errors.Is(p.Failed[1].Err, sinks.ErrNotTried) {
		t.Errorf("error %v", err)
	}
	if got := r.Received(t); len(got) != 1 || got[0].EventID != "e-2" {
		t.Errorf("received %v", got)
	}
}

func TestTLS(t *testing.T) {
	r := new(receiver)
	srv := httptest.NewUnstartedServer(r)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := one(t, open(t, srv.URL, Options{TLS: transport.TLS{CAFile: ca}})); err != nil {
		t.Errorf("known authority: %v", err)
	}
	if r.requests[0].ProtoMajor != 2 {
		t.Errorf("spoke %s", r.requests[0].Proto)
	}
	if err := one(t, open(t, srv.URL, Options{})); err == nil || sinks.IsPermanent(err) {
		t.Errorf("unknown authority: %v", err)
	}
	insecure := Options{TLS: transport.TLS{InsecureSkipVerify: true}}
	if err := one(t, open(t, srv.URL, insecure)); err != nil || len(insecure.Warnings()) != 1 {
		t.Errorf("not verified: %v, warnings %q", err, insecure.Warnings())
	}
}

func TestProxy(t *testing.T) {
	seen := ""
	proxy := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.Host }))
	s := open(t, "http://siem.example.org/hook", Options{AllowHTTP: true, Proxy: sinks.Secret(proxy)})
	if err := one(t, s); err != nil || seen != "siem.example.org" {
		t.Errorf("the proxy saw %q: %v", seen, err)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		o    Options
		want []string
	}{
		{Options{}, []string{"url: want"}},
		{Options{URL: "ftp://h/"}, []string{"not https"}},
		{Options{URL: "http://siem.example.org/"}, []string{"allow_http"}},
		{Options{
			URL: "https://h/", Batch: -1, Timeout: -1, Concurrency: 65, Secrets: []sinks.Secret{"a", ""}, Proxy: "nowhere",
			Headers: map[string]sinks.Secret{"a b": "x", "X-A": "a\r\nb", "idempotency-key": "x"}, TLS: transport.TLS{CertFile: "c"},
		}, []string{"batch", "timeout", "concurrency", "empty one", "proxy", `"a b"`, `"X-A"`, "idempotency-key is set", "belong together"}},
		{Options{URL: "http://localhost/", TLS: transport.TLS{CAFile: "c"}}, []string{"not https"}},
	}
	for _, tt := range tests {
		err := tt.o.Validate()
		if err == nil || strings.Count(err.Error(), "\n")+1 != len(tt.want) {
			t.Errorf("want %d problems, have: %v", len(tt.want), err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not told: %v", want, err)
			}
		}
	}
	good := Options{URL: "http://siem.example.org/", AllowHTTP: true}
	if err := good.Validate(); err != nil || len(good.Warnings()) != 1 {
		t.Errorf("%v, warnings %q", err, good.Warnings())
	}
	for _, u := range []sinks.Secret{"http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost/", "https://h"} {
		if err := (&Options{URL: u}).Validate(); err != nil {
			t.Errorf("%s: %v", u.Reveal(), err)
		}
	}
}

// codeOf returns the first Go block of the page for receivers.
func codeOf(t *testing.T, page string) string {
	t.Helper()
	f, err := os.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var code strings.Builder
	inside := false
	for sc := bufio.NewScanner(f); sc.Scan(); {
		switch {
		case sc.Text() == "```go":
			inside = true
		case sc.Text() == "```" && inside:
			return code.String()
		case inside:
			code.WriteString(sc.Text() + "\n")
		}
	}
	t.Fatalf("no Go code in %s", page)
	return ""
}

// TestPageShowsTestedCode: the receiver in docs/webhooks.md is the one that the
// example runs.
func TestPageShowsTestedCode(t *testing.T) {
	src, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if code := codeOf(t, filepath.Join("..", "..", "docs", "webhooks.md")); !strings.Contains(string(src), code) {
		t.Errorf("the code on the page is not the code of the example:\n%s", code)
	}
}
