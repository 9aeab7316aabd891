"""All eleven tables of Chinook; the join table of playlists and tracks becomes a many-to-many."""

from __future__ import annotations

from data_migration import Migration, is_a

from .dialects import SOURCE, Query
from .models import (
    Album,
    Artist,
    Customer,
    Employee,
    Genre,
    Invoice,
    InvoiceLine,
    MediaType,
    Playlist,
    Track,
)


class ChinookMigration(Migration):
    source = SOURCE


class ArtistMigration(ChinookMigration):
    query = Query("SELECT [ArtistId] AS id, [Name] AS name FROM [Artist]")
    model = Artist


class GenreMigration(ChinookMigration):
    query = Query("SELECT [GenreId] AS id, [Name] AS name FROM [Genre]")
    model = Genre


class MediaTypeMigration(ChinookMigration):
    query = Query("SELECT [MediaTypeId] AS id, [Name] AS name FROM [MediaType]")
    model = MediaType


class AlbumMigration(ChinookMigration):
    query = Query("SELECT [AlbumId] AS id, [Title] AS title, [ArtistId] AS artist FROM [Album]")
    model = Album
    column_description = {"artist": is_a(Artist, search_attr="id", fk=True)}


class TrackMigration(ChinookMigration):
    query = Query("""
        SELECT [TrackId] AS id, [Name] AS name, [AlbumId] AS album, [MediaTypeId] AS media_type,
               [GenreId] AS genre, [Composer] AS composer, [Milliseconds] AS milliseconds,
               [Bytes] AS size, [UnitPrice] AS price
        FROM [Track]
    """)
    model = Track
    depends_on = [Album]
    column_description = {
        "album": is_a(Album, search_attr="id", fk=True),
        "media_type": is_a(MediaType, search_attr="id", fk=True, prefetch=False),
        "genre": is_a(Genre, search_attr="id", fk=True, assign_by_id=True),
    }


class PlaylistMigration(ChinookMigration):
    query = Query("""
        SELECT p.[PlaylistId] AS id, p.[Name] AS name,
               (SELECT COMMA_LIST(pt.[TrackId]) FROM [PlaylistTrack] pt
                WHERE pt.[PlaylistId] = p.[PlaylistId]) AS tracks
        FROM [Playlist] p
    """)
    model = Playlist
    column_description = {"tracks": is_a(Track, search_attr="id", m2m=True, delimiter=",")}


class EmployeeMigration(ChinookMigration):
    # Subordinates first: a tree may come in any order.
    query = Query("""
        SELECT [EmployeeId] AS id, [LastName] AS last_name, [FirstName] AS first_name,
               [Title] AS title, [ReportsTo] AS reports_to, [BirthDate] AS birth_date,
               [HireDate] AS hired_at, [Address] AS address, [City] AS city, [State] AS state,
               [Country] AS country, [PostalCode] AS postal_code, [Phone] AS phone, [Fax] AS fax,
               [Email] AS email
        FROM [Employee] ORDER BY [EmployeeId] DESC
    """)
    model = Employee
    column_description = {"reports_to": is_a(Employee, search_attr="id", fk=True)}


class CustomerMigration(ChinookMigration):
    query = Query("""
        SELECT [CustomerId] AS id, [FirstName] AS first_name, [LastName] AS last_name,
               [Company] AS company, [Address] AS address, [City] AS city, [State] AS state,
               [Country] AS country, [PostalCode] AS postal_code, [Phone] AS phone, [Fax] AS fax,
               [Email] AS email, [SupportRepId] AS support
        FROM [Customer]
    """)
    model = Customer
    column_description = {"support": is_a(Employee, search_attr="id", fk=True)}


class InvoiceMigration(ChinookMigration):
    query = Query("""
        SELECT [InvoiceId] AS id, [CustomerId] AS customer, [InvoiceDate] AS issued_at,
               [BillingAddress] AS address, [BillingCity] AS city, [BillingState] AS state,
               [BillingCountry] AS country, [BillingPostalCode] AS postal_code, [Total] AS total
        FROM [Invoice]
    """)
    model = Invoice
    column_description = {"customer": is_a(Customer, search_attr="id", fk=True)}


class InvoiceLineMigration(ChinookMigration):
    query = Query("""
        SELECT [InvoiceLineId] AS id, [InvoiceId] AS invoice, [TrackId] AS track,
               [UnitPrice] AS unit_price, [Quantity] AS quantity
        FROM [InvoiceLine]
    """)
    model = InvoiceLine
    depends_on = ["music.InvoiceMigration", "music.Track"]
    column_description = {
        "invoice": is_a(Invoice, search_attr="id", fk=True),
        "track": is_a(Track, search_attr="id", fk=True),
    }
