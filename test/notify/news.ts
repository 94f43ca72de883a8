export const news = () =>
  Promise.resolve({ to: ['list@example.org', 'sig@example.org'], subject: 'News', text: 'It is out.\n' });
