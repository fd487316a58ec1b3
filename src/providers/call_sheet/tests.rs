//! From a notice to a printed page, and back from a spreadsheet.

use super::*;
use crate::model::disposition::Dispositions;
use crate::model::personal::Personal;
use crate::providers::examples::sample;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn call(notice: &str, name: &str, language: &str) -> Outgoing {
    let sections = vec![
        ("greeting".to_owned(), "Greeting".to_owned(), Personal::new(format!("Am I speaking to {name}?\nThank you."))),
        ("message".to_owned(), "Message".to_owned(), Personal::new("Your data & <files> were read.")),
    ];
    let script = CallScript { sections, language: language.to_owned(), spoken: None };
    let mut out = sample(Channel::Sms, "");
    out.channel = Channel::Phone;
    out.notice = notice.to_owned();
    out.name = Personal::new(name);
    out.rendered = Rendered::Call(script);
    out
}

/// Every call is the first one.
fn first(_: &Task) -> Option<u32> {
    Some(1)
}

fn adapter(directory: &Path) -> CallSheet {
    CallSheet::build("callers", Channel::Phone, &Settings::new().with("dir", directory.display())).expect("valid")
}

#[tokio::test]
async fn notices_become_sheets_and_dispositions_come_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let dispositions = Dispositions::built_in().expect("valid");
    let adapter = adapter(directory.path());
    let calls =
        [call("n1", "<script>Eve</script>", "en"), call("n2", "=HYPERLINK(1)", "de"), call("n3", "王小明", "zh-CN")];
    for out in calls.iter().chain(calls.first()) {
        let outcome = adapter.send(out, &Gate::default()).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (Class::Accepted, "on-sheet"));
    }
    let halted = Gate::default().unless(Arc::new(AtomicBool::new(true)));
    assert_eq!(adapter.send(&call("n4", "x", "en"), &halted).await.class, Class::NotSent);

    let exported =
        export::export(directory.path(), &directory.path().join("out"), &dispositions, &first).expect("exported");
    assert_eq!(exported.calls, 3, "the same notice twice is one call");
    let html = fs_err::read_to_string(&exported.html).expect("readable");
    assert!(html.contains("&lt;script&gt;Eve") && !html.contains("<script"), "{html}");
    assert!(html.contains("Your data &amp; &lt;files&gt;") && html.contains("<article class=\"call\" lang=\"zh-CN\">"));
    assert!(html.contains("Falsche Nummer") && html.contains("号码错误") && html.contains("Wrong number"));
    assert_eq!(html.matches("class=\"box\"").count(), 3 * 16);
    let csv = fs_err::read_to_string(&exported.csv).expect("readable");
    assert!(csv.starts_with("\u{feff}notice,reference,name,phone,language,disposition,note,call\nn1,C-77,"), "{csv}");
    assert!(csv.contains("n2,C-77,'=HYPERLINK(1),'+15555550100,de,,,1\n") && csv.contains("n3,C-77,王小明"), "{csv}");
    assert_eq!(answers::read(csv.as_bytes(), &dispositions), [], "nobody was called yet");

    let filled =
        csv.replace("de,,", "de,Falsche Nummer,\"gehört, sagt er, \nder Firma\"").replace("en,,", "en,informed,");
    let answers: Vec<_> = answers::read(filled.as_bytes(), &dispositions).into_iter().map(Result::unwrap).collect();
    let shown: Vec<_> =
        answers.iter().map(|a| (a.row, a.notice.as_str(), a.disposition.id.as_str(), a.note.reveal())).collect();
    assert_eq!(shown, [(1, "n1", "informed", ""), (2, "n2", "wrong-number", "gehört, sagt er, \nder Firma")]);

    let second = |task: &Task| (task.notice == "n2").then_some(2);
    let again = export::export(directory.path(), &directory.path().join("again"), &dispositions, &second);
    let csv = fs_err::read_to_string(again.expect("exported").csv).expect("readable");
    assert!(csv.lines().count() == 2 && csv.contains("n2,") && csv.ends_with(",,,2\n"), "only the calls that are due");
    assert!(remove_task(directory.path(), "n3").expect("removed"));
    assert!(!remove_task(directory.path(), "n3").expect("a second time is no fault"));

    #[cfg(unix)]
    for path in [&exported.html, &exported.csv, &tasks_of(directory.path()).join("n1.json")] {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn tables_as_spreadsheets_save_them_are_read() {
    let dispositions = Dispositions::built_in().expect("valid");
    let table = "Note;Disposition;Notice\r\nvoilà, c’est fait;Personne informée;n1\r\n";
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(table);
    let (gbk, _, _) =
        encoding_rs::GB18030.encode("notice\tdisposition\tnote\nn1\t已告知本人\t已经通知客户，没有其他问题\n");
    for content in [table.as_bytes().to_vec(), utf16, latin.into_owned(), gbk.into_owned()] {
        let answers = answers::read(&content, &dispositions);
        let answer = answers[0].as_ref().expect("an answer");
        assert_eq!((answer.notice.as_str(), answer.disposition.id.as_str()), ("n1", "informed"));
        assert!(!answer.note.is_empty());
    }
}

#[test]
fn each_bad_row_is_a_problem_of_its_own() {
    let dispositions = Dispositions::built_in().expect("valid");
    let table = "notice,disposition,note\nn1,informed,ok\nn2,Jane Doe 555-0100,\n,informed,\nn1,wrong-number,\nn3,,later\n'n4,VOICEMAIL,'=x\nn5\n";
    let found: Vec<_> = answers::read(table.as_bytes(), &dispositions);
    let shown: Vec<_> = found
        .iter()
        .map(|row| match row {
            Ok(answer) => (answer.row, answer.disposition.id.as_str()),
            Err(problem) => (problem.row.unwrap_or(0), problem.code),
        })
        .collect();
    let want = [(1, "informed"), (2, "bad-disposition"), (3, "no-notice"), (4, "answered-twice"), (6, "voicemail")];
    assert_eq!(shown, want);
    assert!(!format!("{found:?}").contains("Jane"));
    let calls: Vec<_> =
        answers::read(b"notice,disposition,call\nn1,informed,2\nn2,informed,\nn3,informed,x\n", &dispositions)
            .into_iter()
            .map(|row| row.map(|answer| answer.call).map_err(|problem| problem.code))
            .collect();
    assert_eq!(calls, [Ok(Some(2)), Ok(None), Err("bad-call")]);
    for (table, code) in [("a,b\n1,2\n", "no-column"), ("", "no-column"), ("notice,note\nn1,x\n", "no-column")] {
        let found = answers::read(table.as_bytes(), &dispositions);
        assert_eq!(found[0].as_ref().map_err(|p| p.code), Err(code));
    }
}

#[tokio::test]
async fn a_damaged_task_stops_the_export_and_shows_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let adapter = adapter(directory.path());
    adapter.check().await.expect("the directory is made");
    fs_err::write(tasks_of(directory.path()).join("n1.json"), "{\"notice\":\"Jane\"").expect("written");
    let dispositions = Dispositions::built_in().expect("valid");
    let error = export::export(directory.path(), directory.path(), &dispositions, &first).expect_err("damaged");
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("n1.json") && shown.contains("line 1") && !shown.contains("Jane"), "{shown}");
}
