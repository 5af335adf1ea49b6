//! An alert from a feed to a mailbox, with the real program and a real mail server.

use std::time::Duration;

use capbridge_harness::eventually;
use capbridge_harness::mail::{ACCOUNT, MailServer};

use crate::stage::{On, Stage, message, now, private};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_arrives_in_a_mailbox_in_order_and_each_mail_names_the_one_before() {
    // D-2, D-5, D-11
    let server = MailServer::start().await.unwrap();
    let mut stage = Stage::new(On::Embedded).await;
    private(&stage.folder.path().join("word"), ACCOUNT.1);
    std::fs::write(stage.folder.path().join("root.pem"), &server.root_pem).unwrap();
    stage.network = "extra_roots_file = \"root.pem\"".to_owned();
    stage.extra = format!(
        r#"
[endpoint.duty]
system = "county"
mode = "live"
[endpoint.duty.email]
server = "localhost"
port = {}
username = "{}"
password_file = "word"
from = "Bridge <alerts@bridge.example.test>"
to = "duty@county.example.test"
[route.mail]
from = ["feed"]
to = ["duty"]
class = "live"
"#,
        server.implicit_port, ACCOUNT.0
    );
    let bridge = stage.bridge().await;
    let begun = now();
    (0..4).for_each(|turn| stage.feed.site.publish(message(1, turn, begun)));
    let mails = eventually("four mails", LIMIT, async || {
        let mails = server.mails();
        (mails.len() == 4).then_some(mails)
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}\n{}", server.log(), bridge.tail(20)));
    let mut texts: Vec<String> = mails.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let header = |text: &str, name: &str| {
        let prefix = format!("{name}: ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
    };
    // Exim names its files by second; the mails themselves say which came after which.
    texts.sort_by_key(|text| text.lines().filter(|line| line.contains("@bridge.example.test>")).count());
    let mut before: Option<String> = None;
    for text in &texts {
        assert_eq!(header(text, "In-Reply-To"), before);
        before = header(text, "Message-ID");
    }
    assert!(texts[0].contains("Subject: ALERT / ALERTE: chain 1 turn 0"), "{}", texts[0]);
    stage.settled(&bridge, LIMIT).await;
}
