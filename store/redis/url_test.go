package redis_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/store"
	"sluice/store/redis"
)

func TestOpenRefusesWrongURLs(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, named := range map[string]string{
		"host:6379":                                        "scheme",
		"redis://":                                         "no server",
		"etcd://host":                                      "scheme",
		"unix-cluster:///socket":                           "scheme",
		"redis://user:hidden#word@host":                    "not a URL",
		"redis://user:hidden%word@host":                    "not a URL",
		"redis://:hidden@host/notanumber":                  "database",
		"redis://:hidden@host?colour=red":                  "colour",
		"redis://:hidden@host?namespace={a}":               "namespace",
		"redis://:hidden@host?retry_for=soon":              "retry_for",
		"redis://:hidden@host?retry_for=2h":                "retry_for",
		"redis://:hidden@host?durability=none":             "durability",
		"redis://host?password_file=/no/such":              "password_file",
		"redis://host?password_file=" + empty:              "password_file",
		"redis://host?ca_file=" + empty:                    "rediss",
		"rediss://host?ca_file=" + empty:                   "ca_file",
		"rediss://host?ca_file=/no/such":                   "ca_file",
		"rediss-cluster://host?cert_file=" + empty:         "key_file",
		"rediss://host?key_file=/a&cert_file=/b":           "cert_file",
		"redis-cluster://:hidden@host?addr=b:1&colour=red": "colour",
	} {
		_, err := redis.Open(t.Context(), url, discard)
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), named) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: error is %v, want one that names %q", url, err, named)
		}
	}
}
