package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// tokenSource fetches tokens by the client credentials grant and keeps one
// until shortly before it expires. Safe for concurrent use.
// Semantics: RFC 6749 §4.4.
type tokenSource struct {
	o      *OAuth
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	token   string
	renewAt time.Time
}

func newTokenSource(o *OAuth) *tokenSource {
	return &tokenSource{
		o: o,
		client: &http.Client{
			Timeout: 10 * time.Second,
			// One request an hour or so needs no connection in waiting.
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, DisableKeepAlives: true,
			},
			// A redirect would carry the client's secret to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now: time.Now,
	}
}

// Token blocks for a request to the token endpoint at most once a lifetime.
func (s *tokenSource) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.now().Before(s.renewAt) {
		return s.token, nil
	}
	token, life, err := s.fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("fetch OAuth token from %s: %w", s.o.TokenURL, err)
	}
	s.token = token
	// Without a lifetime the token serves one connection.
	s.renewAt = s.now().Add(life - min(life/5, time.Minute))
	return token, nil
}

func (s *tokenSource) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(s.o.Scopes) > 0 {
		form.Set("scope", strings.Join(s.o.Scopes, " "))
	}
	if s.o.Audience != "" {
		form.Set("audience", s.o.Audience)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(s.o.ClientID), url.QueryEscape(s.o.ClientSecret.Reveal()))
	resp, err := s.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Error       string `json:"error"`
	}
	decodeErr := json.Unmarshal(body, &answer)
	if resp.StatusCode != http.StatusOK {
		return "", 0, fmt.Errorf("status %d %s", resp.StatusCode, answer.Error)
	}
	if decodeErr != nil {
		return "", 0, fmt.Errorf("decode the answer: %w", decodeErr)
	}
	if answer.AccessToken == "" {
		return "", 0, errors.New("no access_token in the answer")
	}
	return answer.AccessToken, time.Duration(max(answer.ExpiresIn, 0)) * time.Second, nil
}

// runTokenCommand returns what the command prints, without the white space
// around it.
func runTokenCommand(ctx context.Context, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	//nolint:gosec // the operator's own configuration names the command
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("run sasl.oauth.token_command: %w", err)
	}
	token := strings.TrimSpace(string(out))
	if token == "" {
		return "", errors.New("run sasl.oauth.token_command: it printed nothing")
	}
	return token, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
