package kinesis

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

type sender func(*http.Request) (*http.Response, error)

func (f sender) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestBodiesHaveNoWriteTo(t *testing.T) {
	var sent string
	client := wholeBodies(sender(func(r *http.Request) (*http.Response, error) {
		if _, ok := r.Body.(io.WriterTo); ok {
			t.Error("the body has WriteTo")
		}
		b, err := io.ReadAll(r.Body)
		sent = string(b)
		return nil, err
	}))
	for _, body := range []string{"text", ""} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = struct {
			*strings.Reader
			io.Closer
		}{strings.NewReader(body), io.NopCloser(nil)}
		if _, err := client.Do(r); err != nil || sent != body {
			t.Errorf("sent %q, %v; want %q", sent, err, body)
		}
	}
}
