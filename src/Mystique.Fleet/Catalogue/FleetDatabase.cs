using System.Collections.Immutable;
using System.Data.Common;
using DuckDB.NET.Data;
using Mystique.Diagnostics;

namespace Mystique.Fleet.Catalogue;

/// <summary>A catalogue in DuckDB, in memory: tables <c>rows</c> and <c>operators</c>. What is asked cannot change the folder.</summary>
internal sealed class FleetDatabase : IDisposable
{
    private static readonly string ColumnNames = string.Join(", ", RowTable.Columns.Select(c => c.Name));

    private readonly DuckDBConnection _connection = new("DataSource=:memory:");

    private FleetDatabase()
    {
        _connection.Open();
        Execute("SET preserve_insertion_order = true");
    }

    /// <summary>Opens a catalogue: of each row the newest entry.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="withOperators">Whether the operators are asked for, too.</param>
    /// <exception cref="MystiqueException">A part cannot be read (MYS503).</exception>
    public static FleetDatabase Open(FleetFolder folder, bool withOperators = false)
    {
        var database = new FleetDatabase();
        try
        {
            database.Execute(RowTable.Create("all_rows") + "; ALTER TABLE all_rows ADD COLUMN generation INTEGER; "
                + "ALTER TABLE all_rows ADD COLUMN part VARCHAR");
            foreach (string part in folder.Rows)
                database.Load(part, $"INSERT INTO all_rows SELECT {ColumnNames}, generation, {Quote(Path.GetFileName(part))} "
                    + $"FROM read_parquet({QuoteForRead(part)})");
            database.Execute($"""
                CREATE TABLE rows AS SELECT {ColumnNames}, generation FROM all_rows
                QUALIFY row_number() OVER (PARTITION BY id ORDER BY generation DESC, part) = 1 ORDER BY id;
                DROP TABLE all_rows
                """);
            database.Execute("CREATE TABLE operators (plan_digest VARCHAR, operator VARCHAR, arguments VARCHAR, class VARCHAR, "
                + "count INTEGER, flops DOUBLE, bytes DOUBLE, node BIGINT)");
            foreach (string part in withOperators ? folder.Operators : [])
                database.Load(part, $"""
                    INSERT INTO operators SELECT o.* FROM read_parquet({QuoteForRead(part)}) o
                    WHERE o.plan_digest NOT IN (SELECT plan_digest FROM operators)
                    """);
            // From here on nothing outside can be reached, and this cannot be undone (DuckDB, "Securing DuckDB").
            database.Execute("SET enable_external_access = false; SET lock_configuration = true");
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>All rows, by their ids.</summary>
    public ImmutableArray<FleetRow> Rows()
    {
        var rows = ImmutableArray.CreateBuilder<FleetRow>();
        using var command = _connection.CreateCommand();
        command.CommandText = $"SELECT {ColumnNames} FROM rows ORDER BY id";
        using var reader = (DuckDBDataReader)command.ExecuteReader();
        while (reader.Read())
            rows.Add(RowTable.Read(reader));
        return rows.ToImmutable();
    }

    /// <summary>The generation of each row.</summary>
    public Dictionary<string, int> Generations()
    {
        var generations = new Dictionary<string, int>(StringComparer.Ordinal);
        using var command = _connection.CreateCommand();
        command.CommandText = "SELECT id, generation FROM rows";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            generations[reader.GetString(0)] = reader.GetInt32(1);
        return generations;
    }

    /// <summary>Answers a question.</summary>
    /// <param name="sql">One SELECT.</param>
    /// <param name="read">Given the reader of the answer.</param>
    /// <exception cref="MystiqueException">It is no SELECT, or is invalid (MYS508).</exception>
    public void Query(string sql, Action<DbDataReader> read) => Query(sql, (reader, _) => read(reader));

    /// <summary>Answers a question with columns of any type: lists, maps and structures are given as JSON.</summary>
    /// <param name="sql">One SELECT.</param>
    /// <param name="read">Given the reader of the answer, and whether a column is JSON.</param>
    /// <exception cref="MystiqueException">It is no SELECT, or is invalid (MYS508).</exception>
    public void Query(string sql, Action<DbDataReader, ImmutableArray<bool>> read)
    {
        sql = sql.Trim().TrimEnd(';');
        if (HasSemicolon(sql))
            throw Problems.FleetQueryInvalid("it is more than one statement");
        try
        {
            // As a table of another question it can be a SELECT alone: whatever writes has no place there.
            string question = $"(\n{sql}\n)";
            var columns = new List<(string Name, bool IsNested)>();
            using var command = _connection.CreateCommand();
            command.CommandText = $"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {question})";
            using (var types = command.ExecuteReader())
                while (types.Read())
                    columns.Add((types.GetString(0), types.GetString(1) is var type && (type.EndsWith(']') || type.EndsWith(')')
                        && !type.StartsWith("DECIMAL", StringComparison.Ordinal) && !type.StartsWith("ENUM", StringComparison.Ordinal))));
            command.CommandText = columns.Any(c => c.IsNested) ? $"SELECT {string.Join(", ", columns.Select((c, i) => c.IsNested
                ? $"CAST(to_json(#{i + 1}) AS VARCHAR) AS {QuoteName(c.Name)}" : $"#{i + 1}"))} FROM {question}"
                : $"SELECT * FROM {question}";
            using var reader = command.ExecuteReader();
            read(reader, [.. columns.Select(c => c.IsNested)]);
        }
        catch (DuckDBException exception)
        {
            throw Problems.FleetQueryInvalid(exception.Message.Split('\n')[0]);
        }
    }

    /// <summary>Whether a semicolon stands outside of texts, names and comments.</summary>
    private static bool HasSemicolon(string sql)
    {
        for (int i = 0; i < sql.Length; i++)
        {
            string end = sql[i] is '\'' or '"' ? sql[i].ToString() : sql.AsSpan(i).StartsWith("--") ? "\n" : sql.AsSpan(i).StartsWith("/*")
                ? "*/" : "";
            if (end.Length > 0)
                i = sql.IndexOf(end, i + 1, StringComparison.Ordinal) is >= 0 and var at ? at + end.Length - 1 : sql.Length;
            else if (sql[i] == ';')
                return true;
        }
        return false;
    }

    /// <summary>Writes a part of rows.</summary>
    /// <param name="path">The file.</param>
    /// <param name="rows">The rows, each with its generation.</param>
    public static void WriteRows(string path, IEnumerable<(FleetRow Row, int Generation)> rows)
    {
        using var database = new FleetDatabase();
        database.Execute(RowTable.Create("rows") + "; CREATE TABLE generations (id VARCHAR, generation INTEGER)");
        using (var appender = database._connection.CreateAppender("rows"))
        using (var generations = database._connection.CreateAppender("generations"))
            foreach (var (row, generation) in rows)
            {
                RowTable.Append(appender, row);
                generations.CreateRow().AppendValue(row.Id).AppendValue((int?)generation).EndRow();
            }
        FleetFolder.Place(path, temporary => database.Execute("COPY (SELECT rows.*, generation FROM rows JOIN generations USING (id) "
            + $"ORDER BY id) TO {Quote(temporary)} (FORMAT parquet, COMPRESSION zstd)"));
    }

    /// <summary>Writes a part of operators.</summary>
    /// <param name="path">The file.</param>
    /// <param name="plans">The operators of plans, by the plans' digests.</param>
    public static void WriteOperators(string path, IReadOnlyDictionary<string, ImmutableArray<FleetOperator>> plans)
    {
        using var database = new FleetDatabase();
        database.Execute("CREATE TABLE operators (plan_digest VARCHAR, operator VARCHAR, arguments VARCHAR, class VARCHAR, count INTEGER, "
            + "flops DOUBLE, bytes DOUBLE, node BIGINT)");
        using (var appender = database._connection.CreateAppender("operators"))
            foreach (var (digest, operators) in plans)
                foreach (var op in operators)
                    appender.CreateRow().AppendValue(digest).AppendValue(op.Name).AppendValue(op.Arguments)
                        .AppendValue(OperatorClasses.Names[(int)op.Class]).AppendValue((int?)op.Count).AppendValue(op.Flops)
                        .AppendValue(op.Bytes).AppendValue((long?)op.Node).EndRow();
        FleetFolder.Place(path, temporary => database.Execute("COPY (FROM operators ORDER BY ALL) "
            + $"TO {Quote(temporary)} (FORMAT parquet, COMPRESSION zstd)"));
    }

    /// <summary>Reads a table of a user's: Parquet, or CSV with a header.</summary>
    /// <param name="path">The file.</param>
    /// <param name="read">Given each row: by column, in small letters, its value as text; null for none.</param>
    /// <exception cref="DuckDBException">It cannot be read.</exception>
    public static void ReadTable(string path, Action<IReadOnlyDictionary<string, string?>> read)
    {
        using var database = new FleetDatabase();
        using var command = database._connection.CreateCommand();
        command.CommandText = path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase)
            ? $"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet({QuoteForRead(path)})"
            : $"SELECT * FROM read_csv({QuoteForRead(path)}, header = true, all_varchar = true)";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            read(Enumerable.Range(0, reader.FieldCount).ToDictionary(i => reader.GetName(i).ToLowerInvariant(), i => reader.IsDBNull(i)
                ? null
                : Convert.ToString(reader.GetValue(i), System.Globalization.CultureInfo.InvariantCulture)));
    }

    public void Dispose() => _connection.Dispose();

    private void Load(string part, string sql)
    {
        try
        {
            Execute(sql);
        }
        catch (DuckDBException exception)
        {
            throw Problems.FleetDamaged(part, exception.Message.Split('\n')[0]);
        }
    }

    private void Execute(string sql)
    {
        using var command = _connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    /// <summary>A path that is read: what would stand for other names in it stands for itself.</summary>
    private static string QuoteForRead(string path) => Quote(string.Concat(path.Select(c => c is '[' or '*' or '?' ? $"[{c}]"
        : c.ToString())));

    private static string QuoteName(string text) => $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static string Quote(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
