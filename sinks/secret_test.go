package sinks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecretStaysSecret(t *testing.T) {
	v := struct {
		Key  Secret
		Ptr  *Secret
		List []Secret
	}{Key: "hunter2", List: []Secret{"hunter2"}}
	key := v.Key
	v.Ptr = &key
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{string(j)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		out = append(out, fmt.Sprintf(verb, v), fmt.Sprintf(verb, v.Key), fmt.Sprintf(verb, v.List))
	}
	for _, s := range out {
		if strings.Contains(s, "hunter2") {
			t.Errorf("secret in %s", s)
		}
	}
	if v.Key.Reveal() != "hunter2" || Secret("").String() != "" {
		t.Error("Reveal or the empty secret is wrong")
	}
	var back struct{ Key Secret }
	if err := json.Unmarshal([]byte(`{"Key":"hunter2"}`), &back); err != nil || back.Key != "hunter2" {
		t.Errorf("a secret cannot be read: %v", err)
	}
}
