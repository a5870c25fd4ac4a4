// Package bench measures the product as a whole, beside what it could not do
// without: see README.md. Everything is in its tests.
package bench
