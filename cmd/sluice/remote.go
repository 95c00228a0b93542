package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/credentials"
)

// Variables that give --server and --key.
const (
	serverVariable = "SLUICE_SERVER"
	keyVariable    = "SLUICE_KEY"
)

// remote is how a tenant reaches a daemon from elsewhere.
type remote struct {
	server      string // of the control API; empty: the socket of this machine's daemon
	key         string
	ca          string // PEM file; empty: the host's CAs
	certificate string // PEM file; empty: none is shown
	privateKey  string
}

func (r *remote) register(set *pflag.FlagSet) {
	set.StringVar(&r.server, "server", os.Getenv(serverVariable), "a daemon's --control-listen, to be reached over TLS with a tenant's key ("+serverVariable+"); empty: this machine's daemon")
	set.StringVar(&r.key, "key", os.Getenv(keyVariable), "the tenant's API key ("+keyVariable+")")
	set.Lookup("key").DefValue = "" // not to be shown by --help
	set.StringVar(&r.ca, "ca", "", "PEM file of the CA that the server's certificate must come from; empty: the host's CAs")
	set.StringVar(&r.certificate, "client-certificate", "", "PEM file of a certificate for servers that demand one")
	set.StringVar(&r.privateKey, "client-key", "", "PEM file of the certificate's private key")
}

func (r *remote) credentials() (credentials.TransportCredentials, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.ca != "" {
		text, err := os.ReadFile(r.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s holds no certificate", r.ca)
		}
	}
	if r.certificate != "" {
		own, err := tls.LoadX509KeyPair(r.certificate, r.privateKey)
		if err != nil {
			return nil, fmt.Errorf("--client-certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return credentials.NewTLS(config), nil
}

// bearer is an API key as it goes with each call.
type bearer string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{authorizationMetadata: "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return true }
