package access

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// reloadInterval is how often the files are looked at, at most.
const reloadInterval = time.Second

// CertificateFiles are PEM files of a TLS server.
type CertificateFiles struct {
	Certificate string // with the chain that leads to it
	Key         string
	ClientCA    string // whose certificates clients must show; empty: they need none
}

// certificates is what the files hold.
type certificates struct {
	files    CertificateFiles
	protocol string
	log      *slog.Logger

	mutex  sync.Mutex
	config *tls.Config
	stamps [3]stamp
	looked time.Time
}

// stamp changes when a file does.
type stamp struct {
	modified time.Time
	size     int64
}

// Credentials are TLS's for gRPC.
func (f CertificateFiles) Credentials(log *slog.Logger) (credentials.TransportCredentials, error) {
	config, err := f.TLS(log, "h2")
	if err != nil {
		return nil, err
	}
	return credentials.NewTLS(config), nil
}

// TLS reads the files, and reads them again when they have changed: connections made from then on see the new ones. Files that
// make no sense leave the old ones in place. protocol is what is spoken over it, by its ALPN name.
func (f CertificateFiles) TLS(log *slog.Logger, protocol string) (*tls.Config, error) {
	c := &certificates{files: f, protocol: protocol, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{protocol},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}, nil
}

func (c *certificates) current() *tls.Config {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= reloadInterval {
		c.looked = now
		stamps, err := c.files.stamps()
		if err == nil && stamps != c.stamps {
			if err = c.load(); err == nil {
				c.log.Info("certificates were read again")
			}
		}
		if err != nil {
			c.log.Error("certificates cannot be read again: the old ones stay", "error", err)
		}
	}
	return c.config
}

func (c *certificates) load() error {
	stamps, err := c.files.stamps()
	if err != nil {
		return err
	}
	own, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{c.protocol}, Certificates: []tls.Certificate{own}}
	if c.files.ClientCA != "" {
		text, err := os.ReadFile(c.files.ClientCA)
		if err != nil {
			return fmt.Errorf("reading the clients' CA: %w", err)
		}
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("reading the clients' CA: %s holds no certificate", c.files.ClientCA)
		}
	}
	c.config, c.stamps = config, stamps
	return nil
}

func (f CertificateFiles) stamps() (stamps [3]stamp, err error) {
	for i, path := range []string{f.Certificate, f.Key, f.ClientCA} {
		info, statErr := os.Stat(path)
		if path == "" && errors.Is(statErr, fs.ErrNotExist) {
			continue
		}
		if statErr != nil {
			return stamps, fmt.Errorf("looking at the certificates: %w", statErr)
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}
