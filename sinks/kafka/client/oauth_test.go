package client

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenSource(t *testing.T) {
	calls := 0
	var handler http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		calls++
		user, pass, _ := r.BasicAuth()
		if user != "id" || pass != "s%2Bcret" || r.PostFormValue("grant_type") != "client_credentials" ||
			r.PostFormValue("scope") != "a b" || r.PostFormValue("audience") != "kafka" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"t` + string(rune('0'+calls)) + `","expires_in":3600}`))
	}
	srv := httptest.NewServer(handler)
	defer srv.Close()
	now := time.Unix(1_000_000, 0)
	s := newTokenSource(&OAuth{
		TokenURL: srv.URL, ClientID: "id", ClientSecret: "s+cret", Scopes: []string{"a", "b"}, Audience: "kafka",
	})
	s.now = func() time.Time { return now }
	want := func(token string) {
		t.Helper()
		if got, err := s.Token(t.Context()); err != nil || got != token {
			t.Errorf("token %q, %v; want %q", got, err, token)
		}
	}
	want("t1")
	now = now.Add(58 * time.Minute)
	want("t1") // kept
	now = now.Add(61 * time.Second)
	want("t2") // renewed a minute before it expires

	s.o.ClientSecret = "wrong"
	now = now.Add(time.Hour)
	_, err := s.Token(t.Context())
	if err == nil || !strings.Contains(err.Error(), "401 invalid_client") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("error %v", err)
	}
}

func TestTokenSourceRefuses(t *testing.T) {
	stolen := false
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen = true }))
	defer thief.Close()
	for _, h := range []http.HandlerFunc{
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, thief.URL, http.StatusTemporaryRedirect)
		},
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`<html>`)) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token_type":"Bearer"}`)) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
	} {
		srv := httptest.NewServer(h)
		if tok, err := newTokenSource(&OAuth{TokenURL: srv.URL}).Token(t.Context()); err == nil {
			t.Errorf("accepted token %q", tok)
		}
		srv.Close()
	}
	if stolen {
		t.Error("the secret followed a redirect")
	}
}

func TestTokenFileAndCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	mechanismToken := func(o *OAuth) string {
		t.Helper()
		m, err := o.mechanism()
		if err != nil {
			t.Fatal(err)
		}
		_, hello, err := m.Authenticate(t.Context(), "broker:9092")
		if err != nil {
			t.Fatal(err)
		}
		return string(hello)
	}
	for _, token := range []string{"first", "second"} { // the file is read again
		if err := os.WriteFile(file, []byte(token+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if hello := mechanismToken(&OAuth{TokenFile: file}); !strings.Contains(hello, "Bearer "+token+"\x01") {
			t.Errorf("hello %q", hello)
		}
	}
	hello := mechanismToken(&OAuth{TokenCommand: []string{"echo", "third"}, Extensions: map[string]string{"logicalCluster": "lkc"}})
	if !strings.Contains(hello, "Bearer third\x01") || !strings.Contains(hello, "logicalCluster=lkc") {
		t.Errorf("hello %q", hello)
	}
	for _, command := range [][]string{{"false"}, {"true"}, {filepath.Join(t.TempDir(), "absent")}} {
		if _, err := runTokenCommand(t.Context(), command); err == nil {
			t.Errorf("%v gave a token", command)
		}
	}
}

// TestMSKCredentials signs with keys from the environment, as in a container.
func TestMSKCredentials(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	m := (&AWS{Region: "eu-central-1"}).mechanism()
	_, hello, err := m.Authenticate(context.Background(), "b-1.demo.abc123.c2.kafka.eu-central-1.amazonaws.com:9098")
	if err != nil {
		t.Fatal(err)
	}
	if s := string(hello); !strings.Contains(s, "AKIDEXAMPLE") || !strings.Contains(s, "eu-central-1") || strings.Contains(s, "hunter2") {
		t.Errorf("challenge %s", s)
	}
}
