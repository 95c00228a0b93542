package store

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	apiKeyPrefix      = "sluice_"
	apiKeyRandomBytes = 32
	apiKeyIDDigits    = 12
	// MaxAPIKeyBytes bounds what a caller may send as a key.
	MaxAPIKeyBytes = 128
	// MaxAPIKeyLabelBytes bounds what a tenant may call a key.
	MaxAPIKeyLabelBytes = 128
)

// APIKey says which tenant a caller with a key is. The key itself is not kept: Hash is its SHA-256 in hex.
type APIKey struct {
	Hash      string    `json:"hash"`
	Tenant    string    `json:"tenant"`
	Label     string    `json:"label"` // what the tenant calls the key, for listings
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // from when it opens nothing; zero: never
}

// NewAPIKey makes a key for a tenant. The secret is what the caller sends; only the record may be kept.
func NewAPIKey(tenant, label string, now time.Time) (secret string, key APIKey, err error) {
	if err := CheckName("tenant", tenant); err != nil {
		return "", APIKey{}, err
	}
	if len(label) > MaxAPIKeyLabelBytes {
		return "", APIKey{}, fmt.Errorf("%w: label: %d bytes are over the limit of %d", ErrInvalid, len(label), MaxAPIKeyLabelBytes)
	}
	var random [apiKeyRandomBytes]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	secret = apiKeyPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	return secret, APIKey{Hash: HashAPIKey(secret), Tenant: tenant, Label: label, CreatedAt: now.UTC()}, nil
}

// HashAPIKey is the record name of a key. A plain SHA-256 is enough: the key is random and 256 bits long.
func HashAPIKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// ID names a key where it is listed or logged. It tells nothing of the key.
func (k APIKey) ID() string { return k.Hash[:min(apiKeyIDDigits, len(k.Hash))] }

// Ended says whether a key opens nothing any more.
func (k APIKey) Ended(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }
