package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/store"
)

const (
	namespaceDefault = "sluice"
	retryForDefault  = 5 * time.Second
	retryForMax      = time.Minute
	// attemptTimeout is how long one attempt waits for an answer where the URL does not say.
	attemptTimeout = 2 * time.Second
	// maxPasswordBytes bounds what is read as a password.
	maxPasswordBytes = 4096
	clusterSuffix    = "-cluster"
)

// settings is what a URL says. Of single and cluster one is nil.
type settings struct {
	single    *redis.Options
	cluster   *redis.ClusterOptions
	address   string // for messages; without credentials
	namespace string
	retryFor  time.Duration
	// trusted: the operator answers for the server's durability.
	trusted bool
}

// parseURL reads what docs/store.md describes. No error repeats the URL, which may hold a password.
func parseURL(text string) (settings, error) {
	u, err := url.Parse(text)
	if err != nil {
		return settings{}, fmt.Errorf("%w: not a URL (special characters of a password are written as %%XX)", store.ErrInvalid)
	}
	s := settings{address: u.Host, namespace: namespaceDefault, retryFor: retryForDefault}
	if u.Scheme == "unix" {
		s.address = u.Path
	}
	scheme, isCluster := strings.CutSuffix(u.Scheme, clusterSuffix)
	switch {
	case scheme != "redis" && scheme != "rediss" && (scheme != "unix" || isCluster):
		return settings{}, fmt.Errorf("%w: scheme %q is not redis, rediss, redis-cluster, rediss-cluster or unix", store.ErrInvalid, u.Scheme)
	case s.address == "":
		return settings{}, fmt.Errorf("%w: names no server", store.ErrInvalid)
	}
	u.Scheme = scheme
	query := u.Query()
	own := make(map[string]string)
	for _, name := range []string{"namespace", "retry_for", "durability", "password_file", "ca_file", "cert_file", "key_file"} {
		own[name] = query.Get(name)
		query.Del(name)
	}
	u.RawQuery = query.Encode()
	if err := s.parseOwn(own); err != nil {
		return settings{}, err
	}
	if isCluster {
		s.cluster, err = redis.ParseClusterURL(u.String())
	} else {
		s.single, err = redis.ParseURL(u.String())
	}
	if err != nil {
		return settings{}, fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return s, s.complete(own)
}

// parseOwn reads the parameters that go-redis does not know.
func (s *settings) parseOwn(own map[string]string) error {
	if own["namespace"] != "" {
		s.namespace = own["namespace"]
	}
	if err := store.CheckName("namespace", s.namespace); err != nil {
		return err
	}
	if text := own["retry_for"]; text != "" {
		var err error
		if s.retryFor, err = time.ParseDuration(text); err != nil || s.retryFor <= 0 || s.retryFor > retryForMax {
			return fmt.Errorf("%w: retry_for: %q is not a time of at most %v, such as 5s", store.ErrInvalid, text, retryForMax)
		}
	}
	switch own["durability"] {
	case "", "checked":
	case "trusted":
		s.trusted = true
	default:
		return fmt.Errorf("%w: durability: %q is not checked or trusted", store.ErrInvalid, own["durability"])
	}
	return nil
}

// complete sets what holds for single servers and clusters alike. Retrying is this package's (errors.go), as only it
// knows what may be tried again for how long.
func (s *settings) complete(own map[string]string) error {
	var encryption *tls.Config
	var read, write, dial *time.Duration
	credentials := credentialsFrom(own["password_file"])
	if s.cluster != nil {
		s.cluster.MaxRetries, s.cluster.DialerRetries, s.cluster.ContextTimeoutEnabled = -1, 1, true
		read, write, dial, encryption = &s.cluster.ReadTimeout, &s.cluster.WriteTimeout, &s.cluster.DialTimeout, s.cluster.TLSConfig
		if own["password_file"] != "" {
			s.cluster.CredentialsProviderContext = credentials(s.cluster.Username)
		}
	} else {
		s.single.MaxRetries, s.single.DialerRetries, s.single.ContextTimeoutEnabled = -1, 1, true
		read, write, dial, encryption = &s.single.ReadTimeout, &s.single.WriteTimeout, &s.single.DialTimeout, s.single.TLSConfig
		if own["password_file"] != "" {
			s.single.CredentialsProviderContext = credentials(s.single.Username)
		}
	}
	for _, timeout := range []*time.Duration{read, write, dial} {
		if *timeout == 0 {
			*timeout = attemptTimeout
		}
	}
	if _, err := readPassword(own["password_file"]); own["password_file"] != "" && err != nil {
		return err
	}
	return setTLSFiles(encryption, own["ca_file"], own["cert_file"], own["key_file"])
}

// credentialsFrom reads the file anew for each connection, so that a password may be changed under a running daemon.
func credentialsFrom(path string) func(user string) func(context.Context) (string, string, error) {
	return func(user string) func(context.Context) (string, string, error) {
		return func(context.Context) (string, string, error) {
			password, err := readPassword(path)
			return user, password, err
		}
	}
}

func readPassword(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: password_file: %w", store.ErrInvalid, err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" || len(password) > maxPasswordBytes {
		return "", fmt.Errorf("%w: password_file: %s holds %d bytes, must be 1 to %d", store.ErrInvalid, path, len(password), maxPasswordBytes)
	}
	return password, nil
}

func setTLSFiles(encryption *tls.Config, authority, certificate, key string) error {
	if authority == "" && certificate == "" && key == "" {
		return nil
	}
	if encryption == nil {
		return fmt.Errorf("%w: ca_file, cert_file and key_file need a rediss URL", store.ErrInvalid)
	}
	if authority != "" {
		text, err := os.ReadFile(authority)
		if err != nil {
			return fmt.Errorf("%w: ca_file: %w", store.ErrInvalid, err)
		}
		encryption.RootCAs = x509.NewCertPool()
		if !encryption.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("%w: ca_file: %s holds no certificate", store.ErrInvalid, authority)
		}
	}
	if (certificate == "") != (key == "") {
		return fmt.Errorf("%w: cert_file and key_file belong together", store.ErrInvalid)
	}
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return fmt.Errorf("%w: cert_file, key_file: %w", store.ErrInvalid, err)
		}
		encryption.Certificates = []tls.Certificate{pair}
	}
	return nil
}

func (s *settings) newClient() redis.UniversalClient {
	if s.cluster != nil {
		return redis.NewClusterClient(s.cluster)
	}
	return redis.NewClient(s.single)
}
